"""Where a protocol runs, and on what."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunContext:
    """The folder and the machine of one run.

    Attributes:
        folder: everything that is made; what is there already is kept.
        jobs: CPUs that Ray may use, and cases made and preprocessed side by side.
        device: auto, cpu or cuda, for the trainings.
        gpus_per_training: share of a GPU that one training takes; 0 on a CPU.
        ray_address: a Ray cluster to use instead of starting one here.
    """

    folder: Path
    jobs: int
    device: str = "auto"
    gpus_per_training: float = 0.0
    ray_address: str | None = None

    @property
    def cohorts(self) -> Path:
        """Raw and preprocessed scans."""
        return self.folder / "cohorts"

    @property
    def trainings(self) -> Path:
        """Weights and predictions of each fold."""
        return self.folder / "trainings"

    @property
    def figures(self) -> Path:
        """SVG and PNG files."""
        return self.folder / "figures"


def default_jobs() -> int:
    """As many processes as there are CPUs for this one."""
    return len(os.sched_getaffinity(0))
