"""The ServerApp's entrance: what it loads, and which folders it accepts."""

import subprocess
import sys
from pathlib import Path

import pytest

from fpe_core.errors import ConfigValueInvalid
from fpe_server.app import checked_run_folder


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, fpe_server.app, fpe_server.cli, fpe_server.coordinator, fpe_server.superlink\n"
        "print(sorted({'torch', 'monai', 'SimpleITK', 'ants', 'opacus', 'sklearn'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "[]"


def test_run_folder_of_the_federation_is_accepted(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "trial"
    folder.mkdir(parents=True)
    assert checked_run_folder(str(folder), str(tmp_path)) == folder


@pytest.mark.parametrize("path", ["runs/none", "certificates", "runs/../certificates", "runs/link", "../..", ""])
def test_any_other_folder_is_refused(tmp_path: Path, path: str) -> None:
    for name in ("runs", "certificates"):
        (tmp_path / name).mkdir()
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "certificates")
    with pytest.raises(ConfigValueInvalid):
        checked_run_folder(str(tmp_path / path), str(tmp_path))


def test_without_a_federation_every_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigValueInvalid):
        checked_run_folder(str(tmp_path), "")
