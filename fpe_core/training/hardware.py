"""What a round runs on. A site decides this, the study plan does not."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

_WORKERS = 4
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, not written to
_ROOM_BYTES = 4 * 2**30
"""Two published batches ahead for each worker, and some room: a full /dev/shm ends a worker with a bus error."""


@dataclass(frozen=True)
class Hardware:
    """The machine's part of a round.

    Attributes:
        device: where the model is.
        micro_batch_size: cases on the device at once; None begins with the plan's whole batch. Batch normalisation
            takes its statistics over these.
        compile: whether torch compiles the network first: minutes once, then faster steps.
        num_workers: processes that read cases ahead; 0 reads between steps.
    """

    device: torch.device
    micro_batch_size: int | None = None
    compile: bool = False
    num_workers: int = 0


def default_workers(device: torch.device) -> int:
    """Processes that should read ahead where the site does not say: none beside a CPU, which they would only share."""
    if device.type != "cuda" or not _SHARED_MEMORY.is_dir():
        return 0
    found = os.statvfs(_SHARED_MEMORY)
    return min(_WORKERS, os.cpu_count() or 1) if found.f_bavail * found.f_frsize >= _ROOM_BYTES else 0
