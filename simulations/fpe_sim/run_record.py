"""`run.json`: how a run was started, on what, and how long each stage took, over all its interruptions."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import Field, ValidationError

from fpe_core.config.base import FrozenModel
from fpe_core.errors import ResultsUnreadable
from fpe_core.files import write_atomic
from fpe_sim.run_context import RunContext

_LIBRARIES = (
    "fpe-federation", "torch", "monai", "flwr", "ray", "numpy", "scipy", "scikit-learn", "statsmodels", "SimpleITK",
    "antspyx", "nibabel", "matplotlib",
)  # fmt: skip
_SAVE_EVERY_S = 5.0


@dataclass(frozen=True)
class Request:
    """How a run was asked for.

    Attributes:
        command: what gives the same run in another folder.
        digest: of the protocol's file and of what the command line replaced in it.
    """

    command: str
    digest: str = ""


class RunPart(FrozenModel):
    """One start of the run, up to its end or interruption."""

    started: datetime
    """When, UTC."""
    seconds: float = 0.0
    """Wall time; of a killed part up to the last note, which is seconds before its end."""
    machine: str
    """Processor, number of CPUs that it might use, and system."""
    jobs: int
    """Processes side by side."""
    device: str
    """Of the trainings, as it was asked for."""
    software: dict[str, str]
    """Versions by name."""


class RunRecord(FrozenModel):
    """What is known of a run beside its results."""

    schema_version: int = 1
    """Version of this file's format."""
    command: str
    """The command that gives the same run in another folder."""
    request: str = ""
    """Digest of the protocol's file and of what the command line replaced in it."""
    parts: tuple[RunPart, ...] = ()
    """The run's starts, in order."""
    stages: dict[str, float] = Field(default_factory=dict)
    """Wall time of each stage in seconds, over all parts."""

    @property
    def seconds(self) -> float:
        """Wall time of all parts."""
        return sum(part.seconds for part in self.parts)


def load_record(path: Path) -> RunRecord | None:
    """What was noted so far; None where nothing was.

    Raises:
        ResultsUnreadable: damaged, or of another version.
    """
    if not path.is_file():
        return None
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ResultsUnreadable(
            f"{path}: {error.errors()[0]['msg']}", hint="delete this file; only times are lost"
        ) from error


class Clock:
    """Notes a part's time and its stages' while they pass, so that a kill costs a few seconds of the account.

    Args:
        path: `run.json`.
        record: what is known already.
        part: the one that begins now.
    """

    def __init__(self, path: Path, record: RunRecord, part: RunPart) -> None:
        self.path = path
        self._record, self._part, self._stages = record, part, dict(record.stages)
        self._started = self._saved = time.monotonic()
        self._open: dict[str, float] = {}

    @property
    def record(self) -> RunRecord:
        """The account up to this moment."""
        now = time.monotonic()
        stages = dict(self._stages)
        for title, begun in self._open.items():
            stages[title] = stages.get(title, 0.0) + now - begun
        part = self._part.model_copy(update={"seconds": now - self._started})
        return self._record.model_copy(update={"parts": (*self._record.parts, part), "stages": stages})

    def save(self) -> None:
        """Write the account."""
        self._saved = time.monotonic()
        write_atomic(self.path, (self.record.model_dump_json(indent=1) + "\n").encode())

    def tick(self) -> None:
        """Write the account if that was some time ago."""
        if time.monotonic() - self._saved > _SAVE_EVERY_S:
            self.save()

    @contextmanager
    def timed(self, title: str) -> Iterator[None]:
        """Add the block's time to stage `title`, also where the block ends in an error."""
        self._open[title] = time.monotonic()
        try:
            yield
        finally:
            self._stages[title] = self._stages.get(title, 0.0) + time.monotonic() - self._open.pop(title)
            self.save()


_current: ContextVar[Clock | None] = ContextVar("run clock", default=None)


def current_clock() -> Clock | None:
    """The clock of the run that this code is part of; None outside of one."""
    return _current.get()


@contextmanager
def recording(path: Path, *, asked: Request, context: RunContext) -> Iterator[Clock]:
    """Keep the account of one part of a run in `path`; `console.stage` adds its stages.

    Args:
        path: `run.json`; goes on with what is in it.
        asked: noted when the run begins for the first time.
        context: jobs and device.
    """
    record = load_record(path) or RunRecord(command=asked.command, request=asked.digest)
    part = RunPart(
        started=datetime.now(UTC).replace(microsecond=0),
        machine=machine_name(),
        jobs=context.jobs,
        device=context.device,
        software=software_versions(),
    )
    clock = Clock(path, record, part)
    clock.save()
    token = _current.set(clock)
    try:
        yield clock
    finally:
        _current.reset(token)
        clock.save()


def machine_name() -> str:
    """Processor, CPUs and system, for a person who compares times."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return f"{model}, {len(os.sched_getaffinity(0))} CPUs, {platform.system()} {platform.release()}"


def software_versions() -> dict[str, str]:
    """Versions of the platform, of Python and of the libraries that decide numbers."""
    return {"python": platform.python_version(), **{name: _version(name) for name in _LIBRARIES}}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
