"""Atomic writes: the new file or the old one, and nothing beside it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fpe_core.files import write_atomic

WRITER = """
import sys
from pathlib import Path
from fpe_core.files import write_atomic
path = Path(sys.argv[1])
print("writing", flush=True)
for letter in "abcdefghijklmnopqrstuvwxyz" * 1000:
    write_atomic(path, letter.encode() * 300_000)
"""


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_atomic(path, b"one")
    write_atomic(path, b"two, longer")
    assert path.read_bytes() == b"two, longer"
    assert [found.name for found in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_the_mode_is_the_one_asked_for(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"")
    path.chmod(0o666)
    write_atomic(path, b"x", mode=mode)
    assert path.stat().st_mode & 0o777 == mode


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    write_atomic(path, b"old")

    def no_space(_handle: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="no space left"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["state.json"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path / "none" / "state.json", b"x")


@pytest.mark.integration
def test_a_kill_in_the_middle_leaves_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "state"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    while not path.exists():
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    content = path.read_bytes()
    assert len(content) == 300_000
    assert len(set(content)) == 1
