"""Phantom cohorts of the two papers: scans, table and truth of one cohort in one folder."""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from fpe_core.data.phantoms.clinic import Cell
from fpe_core.data.phantoms.generate import Progress
from fpe_core.data.phantoms.subjects import Picture, Subject, render_subjects
from fpe_core.files import write_atomic
from fpe_core.seeds import derive_seed
from fpe_sim.cohorts.columns import categories
from fpe_sim.cohorts.draw import Patient, draw_cohort
from fpe_sim.cohorts.flows import FLOWS, Exclusion, PaperCohort
from fpe_sim.cohorts.scanners import SCANNERS
from fpe_sim.cohorts.truth import truth_of

__all__ = ["PaperCohort", "make_phantom_cohort", "num_cases"]
COHORT_VERSION: Final = 1
"""Goes up when the same cohort, seed and scale give other voxels."""
_PICTURES: Final[Mapping[Exclusion | None, Picture]] = {
    None: "head", "side unclear": "head", "CTP parameters missing": "head", "quality degraded": "placeholder",
    "registration failed": "off the atlas",
}  # fmt: skip
"""Who is scanned. The others have no file: what they are left out for decides before anyone looks at an image."""


def num_cases(cohort: PaperCohort, scale: float = 1.0) -> int:
    """Rows of a cohort's table at a scale, those that are left out included."""
    return FLOWS[cohort].num_cases(scale)


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
    patients = draw_cohort(cohort, seed=seed, scale=scale)
    subjects = scanned(cohort, patients, seed=seed)
    scans = folder / "scans"
    scans.mkdir(parents=True, exist_ok=True)
    missing = _missing(scans, subjects)
    done = len(subjects) - len(missing)
    for finished, _ in enumerate(render_subjects(scans, missing, jobs=jobs), start=done + 1):
        progress(finished, len(subjects))
    files = {subject.case_id: {name: f"scans/{file}" for name, file in subject.files.items()} for subject in subjects}
    write_atomic(folder / "truth.json", (json.dumps(truth_of(cohort, patients, seed=seed), indent=1) + "\n").encode())
    write_atomic(folder / "cases.csv", table_of(patients, files).encode())


def scanned(cohort: PaperCohort, patients: Sequence[Patient], *, seed: int) -> list[Subject]:
    """Those of the patients who have pictures, each on one of the hospital's scanners."""
    scanners = {scanner.name: scanner for scanner in SCANNERS[cohort]}
    rng = np.random.default_rng(derive_seed(seed, cohort, "scanners"))
    names = categories({name: scanner.share for name, scanner in scanners.items()}, len(patients), rng)
    return [
        Subject(
            case_id=patient.case_id,
            seed=derive_seed(seed, cohort, "scans", patient.number),
            modality=patient.population.modality,
            scanner=scanners[str(name)],
            latents=patient.latents,
            cells=patient.cells,
            picture=_PICTURES[patient.exclusion],
            occluded=patient.occluded,
        )
        for patient, name in zip(patients, names, strict=True)
        if patient.exclusion in _PICTURES
    ]


def _missing(scans: Path, subjects: Sequence[Subject]) -> list[Subject]:
    """Subjects whose scans are not there yet; all of them when the scans are of other subjects."""
    mark = hashlib.sha256(f"{COHORT_VERSION} {list(subjects)!r}".encode()).hexdigest()
    stamp = scans / "made-from.sha256"
    if not stamp.exists() or stamp.read_text() != mark:
        for old in scans.glob("*.nii.gz"):
            old.unlink()
        write_atomic(stamp, mark.encode())
    return [subject for subject in subjects if not all((scans / file).exists() for file in subject.files.values())]


def table_of(patients: Sequence[Patient], files: Mapping[str, Mapping[str, str]]) -> str:
    """The case table as CSV; a cell that is not known is empty.

    Args:
        patients: rows, in order.
        files: path of each image by case and sequence.
    """
    rows: list[dict[str, Cell]] = [
        {
            "case_id": patient.case_id,
            "patient_id": f"p-{patient.case_id}",
            **files.get(patient.case_id, {}),
            **patient.cells,
            "synthetic": 1,
        }
        for patient in patients
    ]
    columns = list(Counter(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
