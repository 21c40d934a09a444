"""What the gate tells the supervisor about the request in work, through one small file."""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from fpe_client.frames import Step
from fpe_core.protocol import RequestHeader

_WRITE_EVERY_S = 0.5


@dataclass(frozen=True)
class Work:
    """The request in work, or the last one.

    Attributes:
        pid: the gate's process.
        active: False when the reply has been handed over.
        kind, study, round_number, num_rounds: what was asked.
        step: how far the trainer is.
        outcome: `passed` or the code of the failure; empty while active.
    """

    pid: int
    active: bool
    kind: str
    study: str
    round_number: int
    num_rounds: int
    step: Step
    outcome: str = ""


class WorkFile:
    """Writes the file at most twice a second, and always at the ends.

    Args:
        path: the file.
        header: what was asked.
    """

    def __init__(self, path: Path, header: RequestHeader) -> None:
        self._path = path
        self._header = header
        self._written_at = 0.0

    def step(self, step: Step) -> None:
        """Note progress."""
        if time.monotonic() - self._written_at > _WRITE_EVERY_S:
            self._write(step, active=True)

    def done(self, outcome: str) -> None:
        """Note that the reply is on its way."""
        self._write(Step("done", 1, 1), active=False, outcome=outcome)

    def _write(self, step: Step, *, active: bool, outcome: str = "") -> None:
        header = self._header
        work = Work(
            pid=os.getpid(),
            active=active,
            kind=header.kind.value,
            study=header.plan.name,
            round_number=header.round_number,
            num_rounds=header.plan.federation.rounds,
            step=step,
            outcome=outcome,
        )
        write_json(self._path, asdict(work))
        self._written_at = time.monotonic()


def read_work(path: Path) -> Work | None:
    """The request in work, or None when there was none yet or the file is of another version."""
    try:
        fields = json.loads(path.read_text())
        return Work(**{**fields, "step": Step(**fields["step"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_json(path: Path, value: object) -> None:
    """Replace a file that is read while it is written. Not forced to disk: it describes the living."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value))
    temporary.replace(path)
