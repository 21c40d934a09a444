"""`run.json`: how a run was asked for, on what each of its parts ran, and for how long."""

import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import ValidationError

from fpe_core.config.base import FrozenModel
from fpe_core.errors import ResultsUnreadable
from fpe_core.files import write_atomic
from fpe_sim.run_context import RunContext

_LIBRARIES = (
    "fpe-federation", "torch", "monai", "flwr", "ray", "numpy", "scipy", "scikit-learn", "statsmodels", "SimpleITK",
    "antspyx", "nibabel", "matplotlib",
)  # fmt: skip
_SAVE_EVERY_S = 10.0


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


@contextmanager
def recording(path: Path, *, asked: Request, context: RunContext) -> Iterator[None]:
    """Keep the account of one part of a run in `path` while the block runs, so that a kill costs seconds of it.

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
    begun, over = time.monotonic(), threading.Event()

    def save() -> None:
        now = part.model_copy(update={"seconds": round(time.monotonic() - begun, 1)})
        parts = (*record.parts, now)
        write_atomic(path, (record.model_copy(update={"parts": parts}).model_dump_json(indent=1) + "\n").encode())

    def watch() -> None:
        while not over.wait(_SAVE_EVERY_S):
            save()

    save()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        save()


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
