"""The trainer's socket, its health, and the gate's end of it, with a real server process."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fpe_client.frames import Step
from fpe_client.trainer_link import Health, ask_trainer, trainer_health
from fpe_core.config.study import StudyPlan
from fpe_core.errors import TrainerOverdue, TrainerUnavailable, TrainingDiverged
from fpe_core.protocol import Reply, Request

pytestmark = pytest.mark.integration
MakeRequest = Callable[..., Request]
SCRIPT = Path(__file__).with_name("small_trainer.py")


class Trainer:
    """A trainer process in a site's folder."""

    def __init__(self, site_file: Path) -> None:
        self.site_file = site_file
        self.folder = site_file.parent / "state"
        self.folder.mkdir()
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, str(SCRIPT), str(self.site_file)])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def ask(self, request: Request, *, overdue_after_s: float = 20.0) -> tuple[Reply, list[Step]]:
        steps: list[Step] = []
        reply = ask_trainer(self.folder, request, overdue_after_s=overdue_after_s, on_step=steps.append)
        return reply, steps

    def runs(self) -> list[str]:
        return (self.site_file.parent / "runs.txt").read_text().split()


@pytest.fixture
def trainer(site_file: Path) -> Iterator[Trainer]:
    trainer = Trainer(site_file)
    yield trainer
    trainer.kill()


def study(name: str) -> StudyPlan:
    return StudyPlan(name=name, task="fpe", seed=1)


def test_a_request_is_answered_after_its_progress(trainer: Trainer, make_request: MakeRequest) -> None:
    request = make_request(plan=study("slow"))
    reply, steps = trainer.ask(request)
    assert reply.values is not None
    assert reply.values == pytest.approx(0.5)
    assert Step("train", 1, 2) in steps
    assert trainer_health(trainer.folder) is Health.SERVING


def test_a_request_sent_again_is_not_worked_on_again(trainer: Trainer, make_request: MakeRequest) -> None:
    request = make_request(plan=study("slow"))
    with ThreadPoolExecutor(2) as pool:
        replies = [future.result() for future in [pool.submit(trainer.ask, request) for _ in range(2)]]
    again, _ = trainer.ask(request)
    assert {reply.header for reply, _ in replies} == {again.header}
    assert trainer.runs() == ["slow"]


def test_the_socket_is_closed_to_others(trainer: Trainer, make_request: MakeRequest) -> None:
    trainer.ask(make_request(plan=study("quick")))
    assert (trainer.folder / "trainer.sock").stat().st_mode & 0o777 == 0o600
    assert trainer.folder.stat().st_mode & 0o777 == 0o700


def test_a_wedged_trainer_says_so_and_its_gate_gives_up(trainer: Trainer, make_request: MakeRequest) -> None:
    request = make_request(plan=study("hang"))
    started = time.monotonic()
    with pytest.raises(TrainerOverdue):
        trainer.ask(request, overdue_after_s=4.0)
    assert time.monotonic() - started < 15
    assert trainer_health(trainer.folder) is Health.WEDGED


def test_a_frozen_trainer_is_silent(trainer: Trainer, make_request: MakeRequest) -> None:
    trainer.ask(make_request(plan=study("quick")))
    os.kill(trainer.process.pid, signal.SIGSTOP)
    assert trainer_health(trainer.folder, timeout_s=0.5) is Health.SILENT
    os.kill(trainer.process.pid, signal.SIGCONT)


def test_a_trainer_that_dies_gets_the_request_again(trainer: Trainer, make_request: MakeRequest) -> None:
    def restart() -> None:
        trainer.process.wait()
        trainer.start()

    keeper = threading.Thread(target=restart)
    keeper.start()
    reply, _ = trainer.ask(make_request(plan=study("die-once")))
    keeper.join()
    assert reply.header.failure is None
    assert trainer.runs() == ["die-once", "die-once"]


def test_a_trainer_that_is_not_there_is_not_waited_for_without_bound(tmp_path: Path, make_request: MakeRequest) -> None:
    started = time.monotonic()
    with pytest.raises(TrainerUnavailable, match="did not come up"):
        ask_trainer(tmp_path, make_request(), overdue_after_s=1.0, on_step=lambda _: None)
    with pytest.raises(TrainerUnavailable, match="no such folder"):
        ask_trainer(tmp_path / "missing", make_request(), overdue_after_s=1.0, on_step=lambda _: None)
    assert time.monotonic() - started < 5
    assert trainer_health(tmp_path) is Health.SILENT


def test_a_failure_arrives_as_code_and_sentence(trainer: Trainer, make_request: MakeRequest) -> None:
    reply, _ = trainer.ask(make_request(plan=study("fail")))
    assert reply.header.failure is not None
    assert reply.header.failure.sentence == TrainingDiverged.safe_sentence
