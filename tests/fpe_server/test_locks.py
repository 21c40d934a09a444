"""A lock lives exactly as long as its process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fpe_server.locks import LockHeld, exclusive, holder

HOLD = """
import sys, time
from pathlib import Path
from fpe_server.locks import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_holder_is_known_while_the_lock_is_held(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert holder(path) is None
    with exclusive(path):
        assert holder(path) == os.getpid()
        with pytest.raises(LockHeld), exclusive(path):
            pass
    assert holder(path) is None


def test_nothing_stale_is_left_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert holder(path) == process.pid
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
    assert holder(path) is None
    with exclusive(path):
        assert holder(path) == os.getpid()
