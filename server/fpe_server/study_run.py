"""One study on a running SuperLink: submitted, watched, and submitted again when its ServerApp died."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from fpe_core.errors import FederationError
from fpe_server.app import ERROR_LOG, RUN_LOCK
from fpe_server.flower import Control
from fpe_server.locks import holder
from fpe_server.study_state import StudyState, begin_again, error_of, read_state

MAX_SUBMISSIONS = 4
"""Submissions in a row without a round done in between."""
END_TIMEOUT_S = 30.0
"""How long a ServerApp may take to end after it has called its study over."""


class StudyRun:
    """A study and the Flower run that works on it. The study's own checkpoints carry it from one run to the next.

    Attributes:
        folder: the study's run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._run_id: int | None = None
        self._was_at_work = False
        self._predecessor: int | None = None
        self._submissions = 0
        self._round_at_submission = -1
        self._over_since: float | None = None

    def state(self) -> StudyState:
        """How the study stands."""
        return read_state(self.folder)

    def advance(self, control: Control, say: Callable[[str], None]) -> bool:
        """Do what is to be done now; True when the study is finished and its ServerApp gone.

        Raises:
            FpeError: the study failed, or its ServerApp died too often.
            httpx.HTTPError: the SuperLink does not answer.
        """
        if self._run_id is None:
            self._submit(control, say)
            return False
        state = self.state()
        end = self._server_app_end(control)
        if state.over:
            return self._is_settled(state, end is not None)
        if end is not None:
            say(f"the study's ServerApp ended before the study did ({end}); submitting the study again")
            self.abandon(control)
        return False

    def abandon(self, control: Control) -> None:
        """End the run; the study stays where its last checkpoint is."""
        if self._run_id is not None:
            # The SuperLink that knew the run may be gone or going.
            with contextlib.suppress(httpx.HTTPError):
                control.stop_run(self._run_id)
        self.forget()

    def forget(self) -> None:
        """The SuperLink that knew the run is gone."""
        self._run_id = None
        self._was_at_work = False

    def _submit(self, control: Control, say: Callable[[str], None]) -> None:
        state = self.state()
        if state.round > self._round_at_submission:
            self._submissions = 0
        self._round_at_submission = state.round
        if self._submissions >= MAX_SUBMISSIONS:
            raise FederationError(
                f"the study's ServerApp ended {MAX_SUBMISSIONS} times in a row without finishing a round",
                hint=f"what happened is in {self.folder / ERROR_LOG}",
            )
        if state.status == "failed":
            begin_again(self.folder)
        # A ServerApp of a server that was killed may hold the lock a while longer; its end is not the new one's.
        self._predecessor = holder(self.folder / RUN_LOCK)
        try:
            self._run_id = control.start_run({"run-folder": str(self.folder)})
        except httpx.HTTPStatusError as error:
            raise FederationError(f"the SuperLink refused the study (HTTP {error.response.status_code})") from None
        self._submissions += 1
        say(f"study {self.folder.name!r} submitted")

    def _server_app_end(self, control: Control) -> str | None:
        """How the ServerApp ended, or None. Its lock tells at once; Flower needs a minute to notice a kill."""
        at_work = holder(self.folder / RUN_LOCK) not in (None, self._predecessor)
        gone = self._was_at_work and not at_work
        self._was_at_work = self._was_at_work or at_work
        end = control.run_end(self._run_id) if self._run_id is not None else None
        return end or ("its process is gone" if gone else None)

    def _is_settled(self, state: StudyState, ended: bool) -> bool:
        now = time.monotonic()
        self._over_since = self._over_since or now
        if not ended and now - self._over_since < END_TIMEOUT_S:
            return False
        if state.status == "failed":
            raise error_of(state)
        return True
