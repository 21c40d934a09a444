"""Phantom cohorts of the two papers."""

from pathlib import Path
from typing import Literal

from fpe_core.data.phantoms.generate import Progress, generate_site
from fpe_core.data.phantoms.spec import PhantomSite
from fpe_core.seeds import derive_seed

PaperCohort = Literal["ucla-mr", "ucla-ct", "ucla-mr-unlabelled", "ucla-ct-unlabelled", "ucla-scanet", "vdh"]
_SIZES: dict[PaperCohort, int] = {
    "ucla-mr": 152, "ucla-ct": 180, "ucla-mr-unlabelled": 599, "ucla-ct-unlabelled": 475, "ucla-scanet": 254,
    "vdh": 839,
}  # fmt: skip


def make_phantom_cohort(
    cohort: PaperCohort, folder: Path, *, seed: int, scale: float, jobs: int, progress: Progress
) -> None:
    """Write scans, `cases.csv` and `truth.json` of a paper's cohort; what is there already is kept.

    Args:
        cohort: which one.
        folder: made if it does not exist.
        seed: decides every draw, together with the cohort's name.
        scale: share of the paper's number of cases.
        jobs: processes side by side.
        progress: told about every finished case.
    """
    modality = "mr" if "mr" in cohort else "ct"
    task = "rlvo" if cohort == "vdh" else "recanalization" if cohort == "ucla-scanet" else "fpe"
    spec = PhantomSite(name=cohort, num_cases=max(12, round(scale * _SIZES[cohort])), modality=modality, task=task)
    generate_site(folder, spec, seed=derive_seed(seed, "cohort", cohort), progress=progress, jobs=jobs)
