"""How long the stages of a run took, over all the parts in which it was run."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fpe_core.files import write_atomic

STAGE_SECONDS = "seconds.json"
"""In the run folder."""


@contextmanager
def timed(folder: Path, stage: str) -> Iterator[None]:
    """Add the block's wall time to the stage's in `folder/seconds.json`, also when the block is interrupted."""
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    try:
        yield
    finally:
        seconds = stage_seconds(folder)
        seconds[stage] = round(seconds.get(stage, 0.0) + time.monotonic() - started, 1)
        write_atomic(folder / STAGE_SECONDS, json.dumps(seconds, indent=1).encode())


def stage_seconds(folder: Path) -> dict[str, float]:
    """Seconds by stage so far; nothing where the file cannot be read."""
    try:
        found = json.loads((folder / STAGE_SECONDS).read_text())
    except (OSError, ValueError):
        return {}
    return {str(stage): float(seconds) for stage, seconds in found.items()}
