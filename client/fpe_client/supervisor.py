"""`fpe-client --site FILE`: keeps the trainer and the SuperNode alive, and leaves when trying again cannot help."""

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from fpe_client.gate_watch import gate_limit_s, stop_hanging_gates
from fpe_client.link_state import Link, read_link
from fpe_client.parent import adopt_orphans
from fpe_client.paths import SitePaths
from fpe_client.processes import Child
from fpe_client.trainer_link import Health
from fpe_client.view import View
from fpe_client.watch import Watch
from fpe_client.work_state import read_work, write_json
from fpe_core.config.site import SiteConfig
from fpe_core.errors import (
    ConfigError,
    DataError,
    FpeError,
    ModelError,
    ServerUnreachable,
    SiteAlreadyRunning,
)

TICK_S = 0.2
STOP_GRACE_S = 5.0
START_LIMIT_S = 120.0
"""A trainer may take so long to come up, also where it may not be silent for so long afterwards."""
_START_FAILURES: tuple[type[FpeError], ...] = (ConfigError, DataError, ModelError)


class Supervisor:
    """Starts both processes and looks after them until stopped.

    Args:
        config: the site, with absolute paths.
        site_file: the file that it was read from; the processes read it again.
        view: where to show what happens.
    """

    def __init__(self, config: SiteConfig, site_file: Path, view: View) -> None:
        self._config = config
        self._paths = SitePaths(config.state_dir)
        self._view = view
        self._watch = Watch(self._paths.root, config.server)
        logs = self._paths.logs
        self._trainer = Child("trainer", "fpe_client.trainer", site_file, logs / "trainer.log")
        self._node = Child("SuperNode", "fpe_client.supernode", site_file, logs / "supernode.log")
        self._served_at: float | None = None
        self._connected_as: int | None = None
        self._server_answers: bool | None = None

    def run(self) -> None:
        """Stay until SIGINT or SIGTERM.

        Raises:
            SiteAlreadyRunning: another client works on the same folder.
            FpeError: a cause that trying again cannot heal; both processes have been stopped.
        """
        self._paths.create()
        adopt_orphans()
        with _only_one(self._paths.lock):
            previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
            try:
                self._watch.start()
                while True:
                    self._tick()
                    time.sleep(TICK_S)
            except KeyboardInterrupt:
                self._view.close()
                self._view.say("stopping")
            finally:
                signal.signal(signal.SIGTERM, previous)
                self._stop()

    def _tick(self) -> None:
        self._look_after_trainer()
        self._look_after_node()
        self._look_after_gates()
        self._show()
        self._write_status("running")

    def _look_after_trainer(self) -> None:
        child = self._trainer
        code = child.ended()
        if code is not None:
            self._watch.trainer = Health.SILENT
            self._raise_start_failure(code)
            self._view.say(f"the trainer ended ({_reason(code)}); starting it again in {child.wait_s():.1f} s")
        if child.due():
            child.start()
            self._served_at = None
        if child.pid and self._is_wedged(child.age_s):
            self._view.say("the trainer makes no progress; stopping it")
            self._watch.trainer = Health.SILENT
            child.kill()

    def _is_wedged(self, age_s: float) -> bool:
        """It says so itself, or it has not answered for too long."""
        overdue_s = self._config.trainer.overdue_after_s
        if self._watch.trainer is Health.SERVING:
            self._served_at = time.monotonic()
        if self._watch.trainer is Health.WEDGED:
            return True
        if self._served_at is None:
            return age_s > max(overdue_s, START_LIMIT_S)
        return time.monotonic() - self._served_at > overdue_s

    def _raise_start_failure(self, code: int) -> None:
        for kind in _START_FAILURES:
            if code == kind.exit_code:
                words = _last_line(self._trainer.log_file)
                raise kind(f"the trainer cannot start: {words}", hint=f"see {self._trainer.log_file}")

    def _look_after_node(self) -> None:
        child = self._node
        code = child.ended()
        if code is not None:
            self._connected_as = None
            self._raise_refusal(code, read_link(self._paths.link))
            self._view.say(f"the connection ended ({_reason(code)}); trying again in {child.wait_s():.1f} s")
        if child.due():
            child.start()
        link = read_link(self._paths.link)
        if link and link.connected_at and link.pid == child.pid != self._connected_as:
            self._connected_as = link.pid
            self._view.say(f"connected to {self._config.server.address} as {self._config.site}")

    def _raise_refusal(self, code: int, link: Link | None) -> None:
        """Raise what retrying cannot heal. A server that is merely away is waited for."""
        if link is None or not link.refusal_code:
            return
        kind = _error_of(link.refusal_code)
        if code != kind.exit_code:
            return
        if issubclass(kind, ServerUnreachable):
            self._view.say(f"{kind.safe_sentence} {link.refusal}")
            return
        raise kind(f"{kind.safe_sentence} {link.refusal}".strip(), hint=link.hint)

    def _look_after_gates(self) -> None:
        if self._node.pid is None:
            return
        limit_s = gate_limit_s(self._config.trainer.overdue_after_s)
        for pid in stop_hanging_gates(self._node.pid, self._paths.work, limit_s=limit_s):
            self._view.say(f"a gate hung and was stopped (process {pid})")

    def _show(self) -> None:
        work = read_work(self._paths.work)
        self._view.work(work)
        answers = self._watch.server_answers
        if self._connected_as and answers is not None and answers != self._server_answers:
            if self._server_answers is not None or not answers:
                self._view.say("the server answers again" if answers else "the server does not answer; waiting for it")
            self._server_answers = answers

    def _write_status(self, state: str) -> None:
        link, work = read_link(self._paths.link), read_work(self._paths.work)
        connected = link is not None and link.connected_at is not None and link.pid == self._node.pid
        status = {
            "schema_version": 1,
            "site": self._config.site,
            "state": state,
            "pid": os.getpid(),
            "updated_at": time.time(),
            "trainer": {
                "pid": self._trainer.pid,
                "starts": self._trainer.starts,
                "health": self._watch.trainer.value,
            },
            "supernode": {
                "pid": self._node.pid,
                "starts": self._node.starts,
                "connected": connected,
                "server_answers": self._watch.server_answers,
            },
            "work": asdict(work) if work else None,
        }
        write_json(self._paths.status, status)

    def _stop(self) -> None:
        self._view.close()
        for child in (self._node, self._trainer):
            child.ask_to_stop()
        for child in (self._node, self._trainer):
            child.stop(grace_s=STOP_GRACE_S)
        self._write_status("stopped")


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SiteAlreadyRunning(
                f"another fpe-client works on {lock.parent}", hint="stop it first, or give this site its own state_dir"
            ) from None
        yield


def _error_of(code: str) -> type[FpeError]:
    def search(kind: type[FpeError]) -> type[FpeError] | None:
        if kind.code == code:
            return kind
        return next((found for child in kind.__subclasses__() if (found := search(child))), None)

    return search(FpeError) or FpeError


def _reason(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"code {code}"


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else "it left no word"
