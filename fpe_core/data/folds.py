"""Folds of a cross-validation, by patient."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from sklearn.model_selection import StratifiedKFold

from fpe_core.errors import NotEnoughCases


def patient_folds(labels_by_patient: Mapping[str, int], *, num_folds: int, seed: int) -> dict[str, int]:
    """The fold, from 0, in which each patient is for validation; each fold has about the same share of each class.

    Depends on the seed, the patients' ids and their labels only, not on their order.

    Args:
        labels_by_patient: patient id to 0 or 1; for a patient with several cases the largest of their labels.
        num_folds: K ≥ 2.
        seed: decides which patients go where.

    Raises:
        NotEnoughCases: a class has fewer patients than there are folds.
        ValueError: a label is neither 0 nor 1, or there is one fold only.
    """
    if odd := set(labels_by_patient.values()) - {0, 1}:
        raise ValueError(f"labels should be 0 or 1, got {sorted(odd)}")
    counts = Counter(labels_by_patient.values())
    for label in (0, 1):
        if counts[label] < num_folds:
            raise NotEnoughCases(
                f"each class should have at least {num_folds} patients, one for each fold; "
                f"label {label} has {counts[label]}"
            )
    patients = sorted(labels_by_patient)
    labels = np.array([labels_by_patient[patient] for patient in patients])
    folds = StratifiedKFold(num_folds, shuffle=True, random_state=seed % 2**32).split(labels, labels)
    return {patients[i]: fold for fold, (_, validation) in enumerate(folds) for i in validation.tolist()}
