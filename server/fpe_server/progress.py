"""Live progress of a server and its study on stderr: a bar at a terminal, plain lines anywhere else."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from fpe_server.control import SiteStatus
from fpe_server.output import say
from fpe_server.study_state import StudyState


def describe(sites: list[SiteStatus], state: StudyState | None) -> str:
    """How things stand, in one line."""
    connected = [status.site for status in sites if status.connected]
    fleet = f"{len(connected)} of {len(sites)} sites connected"
    if state is None:
        return fleet + (f" ({', '.join(connected)})" if connected else "")
    if state.status == "waiting":
        return f"waiting: {fleet}"
    at_work = ", ".join(f"{site} {what}" for site, what in sorted(state.sites.items()))
    return " · ".join(part for part in (state.message, at_work) if part)


class PlainReporter:
    """One line for each change: for logs, pipes and readers without colour."""

    def __init__(self) -> None:
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None

    def say(self, text: str) -> None:
        say(text)

    def show(self, sites: list[SiteStatus], state: StudyState | None) -> None:
        line = describe(sites, state)
        if state is not None and state.rounds and state.status == "running":
            line = f"round {state.round}/{state.rounds}: {line}"
        if line and line != self._last:
            self._last = line
            say(line)


class BarReporter:
    """A bar over the study's rounds, and what each site does."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        self._progress.console.print(text, highlight=False, markup=False)

    def show(self, sites: list[SiteStatus], state: StudyState | None) -> None:
        if self._task is None:
            self._task = self._progress.add_task("", total=None)
        done, total = (state.round, state.rounds or None) if state else (0, None)
        self._progress.update(self._task, description=describe(sites, state), completed=done, total=total)


def make_reporter() -> PlainReporter | BarReporter:
    """The reporter that suits stderr."""
    return BarReporter() if sys.stderr.isatty() else PlainReporter()
