from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpe_core.config.study import SplitPlan
from fpe_core.data.splits import split_patients
from fpe_core.errors import NotEnoughCases


def cohort(num_negative: int, num_positive: int) -> dict[str, int]:
    return {f"p{i:03}": int(i >= num_negative) for i in range(num_negative + num_positive)}


def test_shares_hold_within_each_class() -> None:
    labels = cohort(60, 40)
    split_of = split_patients(labels, SplitPlan(validation=0.2, test=0.3), seed=1)
    counts = Counter((split_of[patient], label) for patient, label in labels.items())
    assert counts == {
        ("train", 0): 30, ("validation", 0): 12, ("test", 0): 18,
        ("train", 1): 20, ("validation", 1): 8, ("test", 1): 12,
    }  # fmt: skip


def test_row_order_changes_nothing() -> None:
    labels = cohort(20, 10)
    backwards = dict(reversed(labels.items()))
    assert split_patients(labels, SplitPlan(), seed=3) == split_patients(backwards, SplitPlan(), seed=3)


def test_seed_decides() -> None:
    labels = cohort(20, 10)
    assert split_patients(labels, SplitPlan(), seed=3) != split_patients(labels, SplitPlan(), seed=4)


@given(
    num_negative=st.integers(3, 40),
    num_positive=st.integers(3, 40),
    validation=st.floats(0.01, 0.49),
    test=st.floats(0.01, 0.49),
    seed=st.integers(0, 2**32),
)
def test_every_split_has_both_classes_and_every_patient_one_split(
    num_negative: int, num_positive: int, validation: float, test: float, seed: int
) -> None:
    labels = cohort(num_negative, num_positive)
    split_of = split_patients(labels, SplitPlan(validation=validation, test=test), seed=seed)
    assert set(split_of) == set(labels)
    assert {(split_of[p], label) for p, label in labels.items()} == {
        (split, label) for split in ("train", "validation", "test") for label in (0, 1)
    }


@pytest.mark.parametrize(("num_negative", "num_positive"), [(2, 10), (10, 2), (0, 10), (0, 0)])
def test_too_few_of_a_class_is_refused(num_negative: int, num_positive: int) -> None:
    with pytest.raises(NotEnoughCases, match="at least 3 patients"):
        split_patients(cohort(num_negative, num_positive), SplitPlan(), seed=0)


def test_labels_other_than_0_and_1_are_refused() -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        split_patients({**cohort(5, 5), "odd": 2}, SplitPlan(), seed=0)
