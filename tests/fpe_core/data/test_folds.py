"""Folds by patient: each patient once, each fold with its share of each class, whatever the order."""

import pytest

from fpe_core.data.folds import patient_folds
from fpe_core.errors import NotEnoughCases

LABELS = {f"p{i}": int(i < 13) for i in range(40)}


def test_each_patient_is_validated_once_in_folds_of_equal_classes() -> None:
    folds = patient_folds(LABELS, num_folds=5, seed=3)
    assert set(folds) == set(LABELS)
    for label, sizes in ((1, {2, 3}), (0, {5, 6})):
        counts = [sum(folds[p] == fold and LABELS[p] == label for p in LABELS) for fold in range(5)]
        assert set(counts) == sizes


def test_the_order_of_the_patients_changes_nothing() -> None:
    turned = dict(reversed(LABELS.items()))
    assert patient_folds(turned, num_folds=4, seed=3) == patient_folds(LABELS, num_folds=4, seed=3)


def test_the_seed_decides() -> None:
    drawn = [patient_folds(LABELS, num_folds=4, seed=seed) for seed in (2**62 + 3, 2**62 + 3, 4)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_class_smaller_than_the_folds_is_refused() -> None:
    with pytest.raises(NotEnoughCases, match="at least 14 patients, one for each fold; label 1 has 13"):
        patient_folds(LABELS, num_folds=14, seed=1)
    with pytest.raises(NotEnoughCases, match="label 0 has 0"):
        patient_folds({"a": 1, "b": 1}, num_folds=2, seed=1)


def test_one_fold_and_other_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="labels should be 0 or 1"):
        patient_folds({"a": 2, "b": 1}, num_folds=2, seed=1)
    with pytest.raises(ValueError, match="k-fold"):
        patient_folds(LABELS, num_folds=1, seed=1)
