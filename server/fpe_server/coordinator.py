"""The foreground process of `fpe-server start`: keeps the SuperLink alive, and a study going until it is over."""

import datetime
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import httpx

from fpe_core.errors import FederationError, ServerAlreadyRunning, ServerNotRunning
from fpe_core.files import write_atomic
from fpe_server.control import SiteStatus, reconcile, site_statuses
from fpe_server.federation import Federation
from fpe_server.flower import Control
from fpe_server.health import HealthService
from fpe_server.locks import LockHeld, exclusive, holder
from fpe_server.study_run import StudyRun
from fpe_server.study_state import StudyState
from fpe_server.superlink_process import SuperLinkProcess

LOOP_S = 0.25
SITES_POLL_S = 1.0
UNRESPONSIVE_S = 60.0
"""A SuperLink that has not answered for so long is replaced."""
MAX_RESTARTS = 5
STABLE_S = 300.0
"""A SuperLink that lived for so long has earned all its restarts again."""


class Reporter(Protocol):
    """Tells people what happens."""

    def say(self, text: str) -> None:
        """Something worth a line of its own."""
        ...

    def show(self, sites: list[SiteStatus], state: StudyState | None) -> None:
        """How things stand now; called often."""
        ...


@contextmanager
def sole_server(federation: Federation) -> Iterator[None]:
    """Hold the federation's lock.

    Raises:
        ServerAlreadyRunning: another process holds it.
    """
    try:
        with exclusive(federation.lock, wait_s=1.0):
            yield
    except LockHeld:
        raise ServerAlreadyRunning(
            f"a server runs in {federation.folder} already (process {holder(federation.lock)})",
            hint="`fpe-server status` shows it, `fpe-server stop` ends it",
        ) from None


class Coordinator:
    """A running server.

    Args:
        federation: the folder that it serves.
        reporter: tells people what happens.
        stopping: set by a signal handler when it is time to end.
    """

    def __init__(self, federation: Federation, reporter: Reporter, stopping: threading.Event) -> None:
        self._federation = federation
        self._reporter = reporter
        self._stopping = stopping
        self._health = HealthService()
        self._superlink: SuperLinkProcess | None = None
        self._control: Control | None = None
        self._sites: list[SiteStatus] = []
        self._sites_known_until = 0.0
        self._last_answer = 0.0
        self._started_at = 0.0
        self._restarts = 0

    def __enter__(self) -> Self:
        self._health.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._health.__exit__(kind, error, at)
        self._end_superlink()
        self._federation.facts.unlink(missing_ok=True)

    def serve(self, run: StudyRun | None) -> None:
        """Keep the fleet open until stopped or, with a study, until the study is over.

        Raises:
            FpeError: the SuperLink or the ServerApp died too often, or the study failed.
        """
        self._write_facts(run.folder if run else None)
        self._start_superlink()
        while not self._stopping.is_set():
            if not self._superlink_is_well():
                self._replace_superlink(run)
            elif run is not None and self._control is not None and self._advance(run):
                return
            self._reporter.show(self._sites, run.state() if run else None)
            self._stopping.wait(LOOP_S)
        if run is not None and self._control is not None:
            run.abandon(self._control)

    def _advance(self, run: StudyRun) -> bool:
        """One look at the study; True when it is over."""
        if self._control is None:
            raise ServerNotRunning
        try:
            return run.advance(self._control, self._reporter.say)
        except httpx.HTTPError:
            return False  # the SuperLink's own health decides what follows

    def _start_superlink(self) -> None:
        self._superlink = SuperLinkProcess(self._federation)
        self._superlink.wait_until_healthy(lambda: not self._stopping.is_set())
        if self._stopping.is_set():
            return
        self._started_at = self._last_answer = time.monotonic()
        self._control = Control(self._federation)
        try:
            reconcile(self._federation, self._control)
        except httpx.TransportError:
            return  # it died at once; the loop replaces it
        self._federation.fleet_open.touch(mode=0o600)
        self._reporter.say(f"the federation is open on port {self._federation.config.port}")

    def _superlink_is_well(self) -> bool:
        """Ask it at times, and tell the health service what it said."""
        now = time.monotonic()
        if self._superlink is None or not self._superlink.is_alive():
            return False
        if now >= self._sites_known_until:
            self._sites_known_until = now + SITES_POLL_S
            self._look()
        return time.monotonic() - self._last_answer < UNRESPONSIVE_S

    def _look(self) -> None:
        try:
            self._sites = site_statuses(self._federation, self._control)
        except httpx.HTTPError:
            self._health.update(serving=False, admitted=[status.site for status in self._sites])
            return
        self._last_answer = time.monotonic()
        connected = [status.site for status in self._sites if status.connected]
        self._health.update(serving=True, admitted=[s.site for s in self._sites], connected=connected)

    def _replace_superlink(self, run: StudyRun | None) -> None:
        self._health.update(serving=False, admitted=[status.site for status in self._sites])
        self._restarts = 1 if time.monotonic() - self._started_at > STABLE_S else self._restarts + 1
        if self._restarts > MAX_RESTARTS:
            raise FederationError(
                f"the SuperLink ended {self._restarts} times in a row", hint=f"its log: {self._federation.log}"
            )
        self._reporter.say("the SuperLink is gone; starting it again")
        self._end_superlink()
        if run is not None:
            run.forget()
        self._start_superlink()

    def _end_superlink(self) -> None:
        if self._control is not None:
            self._control.__exit__()
            self._control = None
        if self._superlink is not None:
            self._superlink.stop()
            self._superlink = None

    def _write_facts(self, run_folder: Path | None) -> None:
        facts = {
            "pid": os.getpid(),
            "health": self._health.address,
            "study": run_folder.name if run_folder else None,
            "started_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        write_atomic(self._federation.facts, json.dumps(facts).encode(), mode=0o600)
