"""A gate without progress is killed, one that works is left alone."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from fpe_client.frames import Step
from fpe_client.gate_watch import gate_limit_s, stop_hanging_gates
from fpe_client.work_state import Work

pytestmark = pytest.mark.integration
Process = subprocess.Popen[bytes]


@pytest.fixture
def start() -> Iterator[Callable[[str], Process]]:
    """Starts a process that sleeps, in a session of its own, with a word on its command line."""
    started: list[Process] = []

    def start(word: str) -> Process:
        code = "import time; time.sleep(600)"
        started.append(subprocess.Popen([sys.executable, "-c", code, word], start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def note_work(path: Path, pid: int) -> None:
    path.write_text(json.dumps(asdict(Work(pid, True, "train", "pilot", 1, 2, Step("train", 1, 2)))))


def test_a_gate_that_shows_nothing_is_killed(start: Callable[[str], Process], tmp_path: Path) -> None:
    gate = start("flwr-clientapp")
    assert stop_hanging_gates(gate.pid, tmp_path / "work.json", limit_s=60) == []
    time.sleep(0.3)
    assert stop_hanging_gates(gate.pid, tmp_path / "work.json", limit_s=0.2) == [gate.pid]
    assert gate.wait(5) == -9


def test_progress_keeps_a_gate_alive(start: Callable[[str], Process], tmp_path: Path) -> None:
    gate = start("flwr-clientapp")
    time.sleep(0.3)
    note_work(tmp_path / "work.json", gate.pid)
    assert stop_hanging_gates(gate.pid, tmp_path / "work.json", limit_s=0.2) == []
    time.sleep(0.3)
    assert stop_hanging_gates(gate.pid, tmp_path / "work.json", limit_s=0.2) == [gate.pid]


def test_anothers_progress_does_not(start: Callable[[str], Process], tmp_path: Path) -> None:
    gate = start("flwr-clientapp")
    time.sleep(0.3)
    note_work(tmp_path / "work.json", gate.pid + 1)
    assert stop_hanging_gates(gate.pid, tmp_path / "work.json", limit_s=0.2) == [gate.pid]


def test_other_processes_and_other_sessions_are_left_alone(start: Callable[[str], Process], tmp_path: Path) -> None:
    other, gate = start("flower-superexec"), start("flwr-clientapp")
    time.sleep(0.3)
    assert stop_hanging_gates(other.pid, tmp_path / "work.json", limit_s=0.0) == []
    assert gate.poll() is None


def test_the_limit_covers_every_wait_of_a_healthy_gate() -> None:
    assert gate_limit_s(900) == 900 + 2 * 120 + 10
    assert gate_limit_s(5) == 5 + 2 * 5 + 10
