"""What `fpe-sim` shows while it works: one bar for each stage at a terminal, plain lines anywhere else."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from fpe_client.console import words
from fpe_server.progress import make_reporter
from fpe_server.study_state import read_state

EXIT_INTERRUPTED = 130
_POLL_S = 0.5


def say(text: str) -> None:
    """Words for a person, on stderr."""
    words().print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def interruptible(go_on: str = "") -> Iterator[None]:
    """Turn Ctrl-C into a word about how to go on and the exit code for it.

    Args:
        go_on: another command that goes on, where there is one.
    """
    try:
        yield
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from here" + (f", and so does: {go_on}" if go_on else ""))
        raise typer.Exit(EXIT_INTERRUPTED) from None


@contextmanager
def stage(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show one stage; yields the function to call with steps done and steps in all."""
    with _bar(title) if words().is_terminal else _lines(title) as show:
        yield show


@contextmanager
def _bar(title: str) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=words()) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
        if progress.tasks[0].total is None:
            # Nothing was left to do.
            progress.update(task, completed=1, total=1)


@contextmanager
def _lines(title: str) -> Iterator[Callable[[int, int], None]]:
    """At most ten lines while it lasts, and one with its time at the end, for logs."""
    start, tenths = time.monotonic(), 0

    def show(done: int, total: int) -> None:
        nonlocal tenths
        if total and done < total and 10 * done // total > tenths:
            tenths = 10 * done // total
            say(f"{title}: {done} of {total}")

    say(title)
    yield show
    say(f"{title}: done in {time.monotonic() - start:.0f} s")


@contextmanager
def watched(run_folder: Path) -> Iterator[None]:
    """Show how the study in `run_folder` stands, as `fpe-server start` does, until the block ends."""
    over = threading.Event()

    def watch() -> None:
        with make_reporter() as reporter:
            while not over.wait(_POLL_S):
                state = read_state(run_folder)
                if state.status != "waiting":
                    reporter.show([], state)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
