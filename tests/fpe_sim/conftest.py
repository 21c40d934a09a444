"""A kind of protocol that takes no time, in the place of a real one."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


def load_helper(name: str) -> ModuleType:
    """A file of this folder that holds no tests."""
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny_kind() -> ModuleType:
    return load_helper("tiny_kind")


@pytest.fixture(scope="session")
def made_up() -> ModuleType:
    return load_helper("made_up")


@pytest.fixture
def tiny(tiny_kind: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a tiny protocol, whose kind stands in for external-validation."""
    monkeypatch.setitem(sys.modules, tiny_kind.MODULE, tiny_kind.as_module())
    path = tmp_path / "tiny.yaml"
    path.write_text(tiny_kind.YAML)
    return path
