"""Which patients train, validate and test."""

import hashlib
from collections.abc import Mapping

from fpe_core.config.study import SplitPlan
from fpe_core.errors import NotEnoughCases
from fpe_core.protocol import SplitName


def split_patients(labels_by_patient: Mapping[str, int], plan: SplitPlan, *, seed: int) -> dict[str, SplitName]:
    """Assign each patient to one split, with the same share of each class in each.

    Depends on the seed, the patients' ids and their labels only, not on their order. Every split has at least one
    patient of each class.

    Args:
        labels_by_patient: patient id to 0 or 1; for a patient with several cases the largest of their labels.
        plan: shares of validation and test; the remainder trains.
        seed: decides which patients go where.

    Raises:
        NotEnoughCases: a class has fewer than three patients.
        ValueError: a label is neither 0 nor 1.
    """
    if odd := set(labels_by_patient.values()) - {0, 1}:
        raise ValueError(f"labels should be 0 or 1, got {sorted(odd)}")
    split_of: dict[str, SplitName] = {}
    for label in (0, 1):
        patients = sorted(
            (patient for patient, value in labels_by_patient.items() if value == label),
            key=lambda patient: _draw(seed, patient),
        )
        if len(patients) < 3:
            raise NotEnoughCases(
                f"each class should have at least 3 patients, one for each split; label {label} has {len(patients)}"
            )
        num_validation, num_test = _sizes(len(patients), plan)
        for position, patient in enumerate(patients):
            split_of[patient] = _name(position, num_validation, num_test)
    return split_of


def _draw(seed: int, patient: str) -> bytes:
    """A patient's place in the queue: a hash, so that it does not move when other patients come or go."""
    return hashlib.sha256(f"{seed}\x1f{patient}".encode()).digest()


def _sizes(num_patients: int, plan: SplitPlan) -> tuple[int, int]:
    num_validation = min(max(1, round(num_patients * plan.validation)), num_patients - 2)
    num_test = min(max(1, round(num_patients * plan.test)), num_patients - 1 - num_validation)
    return num_validation, num_test


def _name(position: int, num_validation: int, num_test: int) -> SplitName:
    if position < num_validation:
        return "validation"
    return "test" if position < num_validation + num_test else "train"
