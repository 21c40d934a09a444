from collections import Counter
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpe_core.config.study import SplitPlan
from fpe_core.data.case_table import CaseRow
from fpe_core.data.splits import first_treatments, split_patients
from fpe_core.errors import NotEnoughCases, SplitUnusable


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


DAY = date(2020, 1, 1)


def dated(labels: dict[str, int], num_later: int) -> dict[str, date]:
    """The last `num_later` of each class are treated from DAY on, the first of them on the day itself."""
    days: dict[str, date] = {}
    for label in (0, 1):
        patients = [patient for patient, value in labels.items() if value == label]
        for position, patient in enumerate(patients):
            days[patient] = DAY + timedelta(days=position - (len(patients) - num_later))
    return days


def test_a_date_parts_test_from_the_rest() -> None:
    labels = cohort(30, 20)
    days = dated(labels, 10)
    split_of = split_patients(labels, SplitPlan(test_from=DAY, validation=0.2), seed=1, treated_on=days)
    assert {patient for patient, split in split_of.items() if split == "test"} == {
        patient for patient, day in days.items() if day >= DAY
    }
    counts = Counter((split_of[patient], label) for patient, label in labels.items())
    assert counts == {
        ("train", 0): 16, ("validation", 0): 4, ("test", 0): 10,
        ("train", 1): 8, ("validation", 1): 2, ("test", 1): 10,
    }  # fmt: skip
    backwards = dict(reversed(labels.items()))
    assert split_patients(backwards, SplitPlan(test_from=DAY), seed=1, treated_on=days) == split_of


@given(negative=st.integers(3, 20), positive=st.integers(3, 20), later=st.integers(1, 20), seed=st.integers(0, 2**32))
def test_no_training_patient_was_first_treated_in_the_test_period(
    negative: int, positive: int, later: int, seed: int
) -> None:
    labels = cohort(negative, positive)
    days = dated(labels, min(later, negative - 2, positive - 2))
    split_of = split_patients(labels, SplitPlan(test_from=DAY), seed=seed, treated_on=days)
    assert set(split_of) == set(labels)
    assert all((split_of[patient] == "test") == (days[patient] >= DAY) for patient in labels)
    assert {(split_of[p], label) for p, label in labels.items()} == {
        (split, label) for split in ("train", "validation", "test") for label in (0, 1)
    }


def test_cases_without_a_day_are_counted() -> None:
    labels = cohort(6, 6)
    days = dated(labels, 2)
    del days["p000"], days["p007"]
    with pytest.raises(SplitUnusable, match="2 of 12 patients have a case without one"):
        split_patients(labels, SplitPlan(test_from=DAY), seed=1, treated_on=days)
    with pytest.raises(SplitUnusable, match="12 of 12"):
        split_patients(labels, SplitPlan(test_from=DAY), seed=1)


def test_a_side_without_a_class_is_refused() -> None:
    labels = cohort(6, 6)
    with pytest.raises(NotEnoughCases, match="label 0 has 6 and 0"):
        split_patients(labels, SplitPlan(test_from=DAY), seed=1, treated_on=dated(labels, 0))
    with pytest.raises(NotEnoughCases, match="label 0 has 1 and 5"):
        split_patients(labels, SplitPlan(test_from=DAY), seed=1, treated_on=dated(labels, 5))


def test_the_first_treatment_decides_and_a_patient_with_an_unknown_day_has_none() -> None:
    rows = [
        CaseRow(case_id=f"c{i}", patient_id=patient, images={}, treatment_date=day)
        for i, (patient, day) in enumerate(
            [("a", date(2021, 5, 1)), ("a", date(2019, 5, 1)), ("b", None), ("b", date(2019, 1, 1)), ("c", DAY)]
        )
    ]
    assert first_treatments(rows) == {"a": date(2019, 5, 1), "c": DAY}
