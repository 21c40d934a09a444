"""A child process that the supervisor keeps: started in a session of its own, watched, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fpe_client.parent import PARENT_VARIABLE, bury_group

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
HEALTHY_AFTER_S = 60.0
"""A child that has lived for so long starts its next life without backoff."""

_LOG_LIMIT_BYTES = 20 * 2**20


@dataclass
class Child:
    """One program that is started again whenever it ends.

    Args:
        name: for logs and messages.
        module: run as `python -m module --site FILE`.
        site_file: the site's configuration.
        log_file: where the child's words go.
        environment: added to this process's environment.
        clock: seconds, monotonic.
    """

    name: str
    module: str
    site_file: Path
    log_file: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    starts: int = 0
    _process: "subprocess.Popen[bytes] | None" = None
    _started_at: float = 0.0
    _backoff_s: float = 0.0
    _not_before: float = 0.0

    @property
    def pid(self) -> int | None:
        """Process id while it lives."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def age_s(self) -> float:
        """Seconds since it was started."""
        return self.clock() - self._started_at

    def due(self) -> bool:
        """Whether it should be started now."""
        return self._process is None and self.clock() >= self._not_before

    def start(self) -> None:
        """Start it. Must be called from the main thread: the kernel ties the child's life to the calling thread's."""
        _rotate(self.log_file)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module, "--site", str(self.site_file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment, PARENT_VARIABLE: str(os.getpid())},
                start_new_session=True,
            )
        self._started_at = self.clock()
        self.starts += 1

    def ended(self) -> int | None:
        """The exit code once it has ended (negative for a signal), and None otherwise. Schedules the next start."""
        if self._process is None or self._process.poll() is None:
            return None
        code = self._process.returncode
        self._sweep()
        if self.age_s > HEALTHY_AFTER_S:
            self._backoff_s = 0.0
        self._not_before = self.clock() + self._backoff_s
        self._backoff_s = min(max(2 * self._backoff_s, FIRST_BACKOFF_S), LONGEST_BACKOFF_S)
        return code

    def wait_s(self) -> float:
        """Seconds until the next start is due."""
        return max(0.0, self._not_before - self.clock())

    def postpone(self) -> None:
        """Count a start that was not even tried, so that the next one comes later."""
        self._backoff_s = min(max(2 * self._backoff_s, FIRST_BACKOFF_S), LONGEST_BACKOFF_S)
        self._not_before = self.clock() + self._backoff_s

    def kill(self) -> None:
        """SIGKILL to it and to all that it started."""
        if self._process is not None:
            _signal_group(self._process.pid, signal.SIGKILL)

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGTERM)

    def stop(self, *, grace_s: float) -> None:
        """Wait `grace_s` for it to end after `ask_to_stop`, then make sure that nothing of it is left."""
        if self._process is None:
            return
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        self._sweep()

    def _sweep(self) -> None:
        """Whatever of its session outlived it goes too."""
        if self._process is not None:
            _signal_group(self._process.pid, signal.SIGKILL)
            bury_group(self._process.pid, patience_s=2.0)
            self._process = None


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def _rotate(log_file: Path) -> None:
    if log_file.exists() and log_file.stat().st_size > _LOG_LIMIT_BYTES:
        log_file.replace(log_file.with_name(log_file.name + ".1"))


def session_members(session: int, command: str) -> list[tuple[int, float]]:
    """Processes of one session whose command line holds `command`: pid and age in seconds."""
    found = []
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue  # it ended while we looked
        if int(fields[3]) == session and command.encode() in words:
            found.append((int(folder.name), uptime_s - int(fields[19]) / os.sysconf("SC_CLK_TCK")))
    return found
