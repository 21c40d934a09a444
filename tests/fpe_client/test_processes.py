"""A child is started again after a growing pause, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fpe_client.processes import Child, session_members

pytestmark = pytest.mark.integration
BODY = {
    "ends": "raise SystemExit(3)",
    "stays": "import time; time.sleep(600)",
    "deaf": "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)\n"
    "time.sleep(600)",
    "parent": "import subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)  # grandchild'])\ntime.sleep(600)",
}


@pytest.fixture
def make_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Child]]:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    children: list[Child] = []

    def make(body: str, clock: Callable[[], float] = time.monotonic) -> Child:
        (tmp_path / f"body_{body}.py").write_text(BODY[body])
        child = Child(body, f"body_{body}", tmp_path / "site.yaml", tmp_path / "log", clock=clock)
        children.append(child)
        return child

    yield make
    for child in children:
        child.kill()
        child.stop(grace_s=5)


def until_ended(child: Child) -> int:
    end = time.monotonic() + 10
    while (code := child.ended()) is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    return code


def until_gone(pid: int) -> None:
    """Not there any more, or dead and waiting for its new parent."""
    end = time.monotonic() + 5
    while True:
        try:
            if not Path(f"/proc/{pid}/cmdline").read_bytes():
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        assert time.monotonic() < end
        time.sleep(0.01)


def test_pauses_grow_and_a_long_life_forgives_them(make_child: Callable[..., Child]) -> None:
    now = [0.0]
    child = make_child("ends", clock=lambda: now[0])
    waits = []
    for _ in range(9):
        assert child.due()
        child.start()
        assert until_ended(child) == 3
        waits.append(child.wait_s())
        now[0] += child.wait_s()
    assert waits == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    child.start()
    now[0] += 61
    assert until_ended(child) == 3
    assert child.wait_s() == 0


def test_it_is_not_due_before_its_pause_is_over(make_child: Callable[..., Child]) -> None:
    now = [0.0]
    child = make_child("ends", clock=lambda: now[0])
    for _ in range(2):
        child.start()
        until_ended(child)
    assert not child.due()
    now[0] += 0.5
    assert child.due()


def test_its_words_go_to_its_log(make_child: Callable[..., Child], tmp_path: Path) -> None:
    child = make_child("deaf")
    child.start()
    end = time.monotonic() + 10
    while "deaf" not in (tmp_path / "log").read_text():
        assert time.monotonic() < end
        time.sleep(0.01)
    child.ask_to_stop()
    started = time.monotonic()
    child.stop(grace_s=0.3)
    assert 0.3 <= time.monotonic() - started < 3
    assert child.pid is None


def test_what_it_started_goes_with_it(make_child: Callable[..., Child]) -> None:
    child = make_child("parent")
    child.start()
    session = child.pid
    assert session is not None
    end = time.monotonic() + 10
    while not (found := session_members(session, "# grandchild")):
        assert time.monotonic() < end
        time.sleep(0.01)
    (grandchild, age_s) = found[0]
    assert 0 <= age_s < 10
    os.kill(session, signal.SIGKILL)
    assert until_ended(child) == -signal.SIGKILL
    until_gone(grandchild)


def test_a_large_log_is_put_aside(make_child: Callable[..., Child], tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        log.truncate(21 * 2**20)
    child = make_child("ends")
    child.start()
    until_ended(child)
    assert (tmp_path / "log.1").stat().st_size == 21 * 2**20
    assert (tmp_path / "log").stat().st_size == 0


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    """Also when the parent is killed with SIGKILL, and also when it is gone before the child asks for that."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, subprocess, sys, time\n"
        "if len(sys.argv) == 1:\n"
        "    child = subprocess.Popen([sys.executable, __file__, 'child'], stdout=subprocess.PIPE)\n"
        "    child.stdout.read(1)\n"
        "    print(child.pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "from fpe_client.parent import die_with_parent\n"
        "die_with_parent()\n"
        "print('x', flush=True)\n"
        "time.sleep(600)\n"
    )
    done = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, timeout=20, check=False)
    assert done.returncode == -signal.SIGKILL
    until_gone(int(done.stdout))
    late = subprocess.run(
        [sys.executable, "-c", "from fpe_client.parent import die_with_parent; die_with_parent()"],
        env={"FPE_PARENT_PID": "1"},
        timeout=20,
        check=False,
    )
    assert late.returncode == 1
