"""What the person at the terminal sees of a site: lines, and on a terminal a moving progress bar under them."""

import time
from datetime import datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from fpe_client.work_state import Work

_LINE_EVERY_S = 10.0


class View:
    """Shows the site's life on stderr.

    Args:
        console: where to; rich decides there whether it is a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._shown: tuple[object, ...] = ()
        self._line_at = 0.0

    def say(self, text: str) -> None:
        """One line with the time of day."""
        self._console.print(f"{datetime.now():%H:%M:%S} {text}", highlight=False, markup=False, soft_wrap=True)

    def work(self, work: Work | None) -> None:
        """Show the request in work; None or a finished one ends the bar."""
        if work is None or not work.active:
            self._end(work)
        elif not work.step.total:
            return  # it waits for the trainer; there is nothing to show yet
        elif self._console.is_terminal:
            self._move_bar(work)
        else:
            self._maybe_line(work)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None

    def _end(self, work: Work | None) -> None:
        self.close()
        shown = ("end", work.pid) if work else ()
        if work is not None and self._shown != shown and self._shown:
            result = "answered" if work.outcome == "passed" else f"answered with {work.outcome}"
            self.say(f"{title(work)}: {result}")
        self._shown = shown or self._shown

    def _move_bar(self, work: Work) -> None:
        if self._bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.start()
            self._task = self._bar.add_task(title(work))
        if self._task is not None:
            description = f"{title(work)} {work.step.stage}"
            self._bar.update(self._task, description=description, completed=work.step.done, total=work.step.total)
        self._shown = ("bar", work.pid)

    def _maybe_line(self, work: Work) -> None:
        shown = (work.pid, work.step.stage)
        if shown != self._shown or time.monotonic() - self._line_at > _LINE_EVERY_S:
            self.say(f"{title(work)}: {work.step.stage} {work.step.done}/{work.step.total}")
            self._shown, self._line_at = shown, time.monotonic()


def title(work: Work) -> str:
    """`round 3/10 of study-name`, or the kind of request outside rounds."""
    if work.round_number:
        return f"round {work.round_number}/{work.num_rounds} of {work.study}"
    return f"{work.kind} for {work.study}"
