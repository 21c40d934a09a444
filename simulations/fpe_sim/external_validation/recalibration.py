"""Recalibration in the large at a new hospital: one number added to all logits, and nothing else."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from fpe_core.data.folds import patient_folds
from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.calibration import SMALLEST_PROBABILITY, calibration
from fpe_core.evaluation.cases import FloatArray, cases_of_both_classes

MOST_PARTS = 5


def recalibrated_in_the_large(
    probabilities: ArrayLike, labels: ArrayLike, patients: Sequence[str], *, seed: int
) -> FloatArray:
    """Shift each part's logits by the intercept that fits the other parts of the same hospital.

    So no case has a say in its own shift. The parts' shifts differ a little; a hospital would use one, fitted to all.

    Args:
        probabilities: `(N,)` float in [0, 1].
        labels: `(N,)` 0 or 1.
        patients: the patient of each case; all cases of a patient are in one part.
        seed: decides the parts.

    Returns:
        `(N,)` float64 in (0, 1).

    Raises:
        NotEnoughCases: a class has fewer than two patients.
    """
    cases = cases_of_both_classes(probabilities, labels)
    by_patient: dict[str, int] = {}
    for patient, label in zip(patients, cases.labels.tolist(), strict=True):
        by_patient[patient] = max(int(label), by_patient.get(patient, 0))
    num_parts = min(MOST_PARTS, sum(by_patient.values()), len(by_patient) - sum(by_patient.values()))
    if num_parts < 2:
        raise NotEnoughCases("recalibration needs two patients of each class")
    part_of = patient_folds(by_patient, num_folds=num_parts, seed=seed)
    part = np.array([part_of[patient] for patient in patients])
    logits = logit(np.clip(cases.probabilities, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY))
    shifted = np.empty_like(logits)
    for one in range(num_parts):
        here = part == one
        shift = calibration(cases.probabilities[~here], cases.labels[~here]).in_the_large.value
        shifted[here] = logits[here] + shift
    found: FloatArray = expit(shifted)
    return found
