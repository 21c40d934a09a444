"""What is installed: the four packages with their files, and nothing of the repository beside them."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"fpe_core", "fpe_server", "fpe_client", "fpe_sim"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def test_there_are_four_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES


def test_every_module_of_the_repository_is_in_it(wheel: zipfile.ZipFile) -> None:
    folders = [ROOT / "fpe_core", *(ROOT / part / f"fpe_{name}" for part, name in PARTS)]
    modules = {path.relative_to(folder.parent).as_posix() for folder in folders for path in folder.rglob("*.py")}
    packed = {name for name in wheel.namelist() if name.endswith(".py")}
    assert packed == modules


PARTS = [("server", "server"), ("client", "client"), ("simulations", "sim")]


def test_files_that_are_read_at_run_time_are_in_it(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    wanted = ["fpe_server/bundle/pyproject.toml"]
    wanted += [
        f"fpe_core/evaluation/templates/{path.name}" for path in (ROOT / "fpe_core/evaluation/templates").iterdir()
    ]
    wanted += [f"fpe_sim/scenarios/{path.name}" for path in (ROOT / "simulations/fpe_sim/scenarios").glob("*.yaml")]
    assert len(wanted) >= 3
    assert set(wanted) <= names


def test_nothing_private_is_in_it(wheel: zipfile.ZipFile) -> None:
    assert not [
        name for name in wheel.namelist() if "__pycache__" in name or name.endswith((".key", ".pem", ".nii.gz"))
    ]
    assert not [name for name in wheel.namelist() if {"site_configs", "tests", "benchmarks"} & set(name.split("/"))]


def test_the_three_programs_are_declared(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    lines = wheel.read(name).decode().split()
    for program in ("server", "client", "sim"):
        assert f"fpe_{program}.cli:main" in lines
        assert f"fpe-{program}" in lines
