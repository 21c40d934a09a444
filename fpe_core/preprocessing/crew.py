"""A crew of worker processes in which the death of one costs one case.

`concurrent.futures` gives up the whole pool when a worker is killed (out of memory, a crash in native code); a cohort
must go on, so each worker has a pipe of its own and is replaced when it dies.
"""

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from fpe_core.errors import CaseProcessingFailed
from fpe_core.preprocessing.single_thread import single_threaded_children
from fpe_core.preprocessing.worker import Outcome, Task, serve

_GRACE_S = 5.0


@dataclass
class _Worker:
    """A process and our end of its pipe; `task` while it works; `lost` once it died or was overdue."""

    process: SpawnProcess
    connection: Connection
    task: Task | None = None
    started_s: float = 0.0
    lost: bool = False

    def give(self, task: Task) -> None:
        self.connection.send(task)
        self.task, self.started_s = task, time.monotonic()


def run_tasks(
    tasks: Iterable[Task], *, jobs: int, deadline_s: float, room_bytes: float = float("inf")
) -> Iterator[Outcome]:
    """Outcomes in the order in which cases finish.

    Args:
        tasks: one per case.
        jobs: number of worker processes.
        deadline_s: a case that takes longer is given up and its worker killed.
        room_bytes: memory that the cases in work may take together; a larger case is worked on alone.
    """
    waiting = deque(tasks)
    crew: list[_Worker] = []
    try:
        while True:
            _employ(crew, waiting, jobs, room_bytes)
            if not any(worker.task for worker in crew):
                return
            yield from _finished(crew, deadline_s)
    finally:
        for worker in crew:
            _dismiss(worker)


def _employ(crew: list[_Worker], waiting: deque[Task], jobs: int, room_bytes: float) -> None:
    """Give every free worker a task; processes start only while there are tasks for them, and memory for these."""
    while waiting:
        in_work = [worker.task.memory_bytes for worker in crew if worker.task is not None]
        if in_work and sum(in_work) + waiting[0].memory_bytes > room_bytes:
            return
        worker = next((worker for worker in crew if worker.task is None), None)
        if worker is None:
            if len(crew) >= jobs:
                return
            worker = _start()
            crew.append(worker)
        try:
            worker.give(waiting[0])
        except (BrokenPipeError, ConnectionResetError):
            # It died between two cases; nothing is lost, and the next turn of the loop starts another.
            crew.remove(worker)
            _dismiss(worker)
        else:
            waiting.popleft()


def _start() -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    resource_tracker.ensure_running()  # else the first start starts it, and that lets Ctrl-C through again
    with single_threaded_children(), _ctrl_c_later():
        process.start()
    theirs.close()
    return _Worker(process, ours)


@contextmanager
def _ctrl_c_later() -> Iterator[None]:
    """Hold Ctrl-C back; a process started inside never sees it and so prints no traceback over the runner's words."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _finished(crew: list[_Worker], deadline_s: float) -> Iterator[Outcome]:
    """Wait until a worker answers, dies or is overdue; outcomes of all that did."""
    busy = [worker for worker in crew if worker.task is not None]
    latest_s = min(worker.started_s for worker in busy) + deadline_s
    ready = wait([worker.connection for worker in busy], timeout=max(0.0, latest_s - time.monotonic()))
    for worker in busy:
        if worker.connection in ready:
            outcome = _answer(worker)
        elif time.monotonic() - worker.started_s > deadline_s:
            outcome = _give_up(worker, f"the case took longer than {deadline_s:g} s")
        else:
            continue
        if worker.lost:
            crew.remove(worker)
            _dismiss(worker)
        worker.task = None
        yield outcome


def _answer(worker: _Worker) -> Outcome:
    try:
        outcome: Outcome = worker.connection.recv()
    except (EOFError, OSError):  # OSError: it died in the middle of its answer
        worker.process.join(_GRACE_S)
        code = worker.process.exitcode
        killed = ": it was killed, perhaps because memory ran out" if code == -signal.SIGKILL else ""
        return _give_up(worker, f"the process that worked on the case ended with code {code}{killed}")
    return outcome


def _give_up(worker: _Worker, reason: str) -> Outcome:
    worker.lost = True
    case_id = worker.task.files.case_id if worker.task else ""
    return Outcome(case_id, CaseProcessingFailed.code, reason)


def _dismiss(worker: _Worker) -> None:
    """Close the pipe of an idle worker, which then ends by itself; kill one that is still at work."""
    worker.connection.close()
    if worker.task is not None:
        worker.process.kill()
    worker.process.join(_GRACE_S)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()
