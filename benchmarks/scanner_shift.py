"""What a reader loses on another hospital's scanner, the patients being the same.

    OMP_NUM_THREADS=1 python benchmarks/scanner_shift.py --patients 100 --jobs 2 --out scanner_shift.json

Each CT phantom of the UCLA cohort is scanned twice, on a scanner of UCLA and on Vall d'Hebron's. Radiomics with a
logistic regression learn to tell large cores and good collaterals from one hospital's scans, and are asked about
held-out patients in both. The differences are paired by patient, and no outcome's luck is in them.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
import torch
from harness import machine
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from fpe_core.config.recipe import recipe_named
from fpe_core.data.case_row import CaseRow
from fpe_core.data.phantoms.subjects import FleetScanner, Subject, render_subject
from fpe_core.errors import FpeError
from fpe_core.evaluation.comparison import AucComparison, compare_paired_aucs
from fpe_core.preprocessing.case import CaseFiles, preprocess_case
from fpe_sim.cohorts.draw import Patient, draw_cohort
from fpe_sim.cohorts.paper import scanned
from fpe_sim.cohorts.scanners import SCANNERS
from fpe_sim.ucla_scanet.radiomics.classifier import fit_radiomics
from fpe_sim.ucla_scanet.radiomics.features import case_features
from fpe_sim.ucla_scanet.radiomics.regions import regions_of
from fpe_sim.ucla_scanet.radiomics.store import territories_on

HOSPITALS: Final = ("ucla-ct", "vdh")
LATENTS: Final = ("core", "collaterals")
"""What the images show and the coarse grid keeps."""
NUM_FOLDS: Final = 5
Features = NDArray[np.float64]


@dataclass(frozen=True)
class Shift:
    """One reader: what it reads, where it learned, AUC there and elsewhere, and its mean probability at both.

    `loss` is own − other, with DeLong's paired 95 % interval.
    """

    reads: str
    trained_at: str
    loss: AucComparison
    mean_own: float
    mean_other: float


def seen_twice(recipe_name: str, patient: Patient, subject: Subject) -> list[list[float]] | None:
    """The patient's features at each hospital; None where a scan cannot be registered."""
    fleets = [SCANNERS[hospital] for hospital in HOSPITALS]
    known = {column: cell for column, cell in patient.cells.items() if cell != ""}
    row = CaseRow.model_validate({"case_id": patient.case_id, "patient_id": patient.case_id, "images": {}, **known})
    try:
        return [_features(recipe_name, row, subject, fleet[patient.number % len(fleet)]) for fleet in fleets]
    except FpeError as error:
        print(f"{patient.case_id} left out: {error}", flush=True)
        return None


def _features(recipe_name: str, row: CaseRow, subject: Subject, scanner: FleetScanner) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        render_subject(at, replace(subject, scanner=scanner))
        files = {name: at / file for name, file in subject.files.items()}
        case = preprocess_case(CaseFiles(row.case_id, files), recipe_named(recipe_name))
    regions = regions_of(row, case.mask > 0, territories_on(recipe_name))
    return list(case_features({name: case.volumes[name] for name in files}, regions).values())


def shifts(features: Sequence[Features], latent: Features, reads: str, seed: int) -> list[Shift]:
    """Both hospitals' readers of one latent.

    Args:
        features: `(N, F)` at each hospital, of the same patients.
        latent: `(N,)`; above its median is what is told apart.
        reads: its name.
        seed: of the folds.
    """
    labels = (latent > np.median(latent)).astype(np.int64)
    folds = list(StratifiedKFold(NUM_FOLDS, shuffle=True, random_state=seed).split(labels, labels))
    found = []
    for own, other in ((0, 1), (1, 0)):
        judged = np.zeros((2, len(labels)))
        for inside, outside in folds:
            reader = fit_radiomics(
                features[own][inside], labels[inside], [str(number) for number in inside],
                num_features=(10, 20), inverse_penalties=(0.01, 0.1, 1.0), num_folds=4, seed=seed,
            )  # fmt: skip
            judged[:, outside] = [reader.probabilities(features[where][outside]) for where in (own, other)]
        loss = compare_paired_aucs(first=judged[0], second=judged[1], labels=labels)
        found.append(Shift(reads, HOSPITALS[own], loss, float(judged[0].mean()), float(judged[1].mean())))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=100)
    parser.add_argument("--recipe", default="mnt-dl-ct-small")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    everyone = draw_cohort(HOSPITALS[0], seed=given.seed, scale=1.0)
    subjects = {subject.case_id: subject for subject in scanned(HOSPITALS[0], everyone, seed=given.seed)}
    chosen = [patient for patient in everyone if patient.exclusion is None and patient.occluded][: given.patients]
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        look = partial(seen_twice, given.recipe)
        both = list(pool.map(look, chosen, [subjects[patient.case_id] for patient in chosen]))
    kept = [(patient, pair) for patient, pair in zip(chosen, both, strict=True) if pair is not None]
    features = [np.array([pair[where] for _, pair in kept]) for where in range(len(HOSPITALS))]
    found = [
        shift
        for name in LATENTS
        for shift in shifts(features, np.array([patient.latents[name] for patient, _ in kept]), name, given.seed)
    ]
    print(f"{len(kept)} patients, each scanned at both hospitals; half of them have what is read")
    for one in found:
        loss = one.loss
        print(
            f"{one.reads:14s} trained at {one.trained_at:8s} AUC {loss.first_auc:.3f} there, {loss.second_auc:.3f} on "
            f"the other's scanner: loss {loss.difference:+.3f} ({loss.low:+.3f} to {loss.high:+.3f}); mean probability "
            f"{one.mean_own:.2f} and {one.mean_other:.2f}"
        )
    if given.out:
        result = {**machine(torch.device("cpu")), "patients": len(kept), "shifts": [asdict(one) for one in found]}
        given.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
