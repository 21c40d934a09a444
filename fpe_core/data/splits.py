"""Which patients train, validate and test."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date

from fpe_core.config.study import SplitPlan
from fpe_core.data.case_table import CaseRow
from fpe_core.errors import NotEnoughCases, SplitUnusable
from fpe_core.protocol import SplitName

FEWEST_PER_CLASS = 3
"""Patients of a class that a cohort needs at least: one for each split."""


def split_patients(
    labels_by_patient: Mapping[str, int],
    plan: SplitPlan,
    *,
    seed: int,
    treated_on: Mapping[str, date] | None = None,
) -> dict[str, SplitName]:
    """Assign each patient to one split.

    Without `plan.test_from` every split has the same share of each class. With it, patients first treated on that day
    or later are the test set, as in a prospective validation (AJNR 2024), and the others are split into training and
    validation by class; `plan.validation` is then a share of those others.

    Depends on the plan, the seed, the patients' ids, labels and days only, not on their order. Every split has at
    least one patient of each class.

    Args:
        labels_by_patient: patient id to 0 or 1; for a patient with several cases the largest of their labels.
        plan: shares of validation and test; the remainder trains.
        seed: decides which patients go where.
        treated_on: day of each patient's first treatment (`first_treatments`); needed with `plan.test_from` only.

    Raises:
        NotEnoughCases: a class has fewer than three patients, or none on one side of `plan.test_from`.
        SplitUnusable: `plan.test_from` is given and the day of a patient is not known.
        ValueError: a label is neither 0 nor 1.
    """
    if odd := set(labels_by_patient.values()) - {0, 1}:
        raise ValueError(f"labels should be 0 or 1, got {sorted(odd)}")
    if plan.test_from is not None:
        return _split_by_date(labels_by_patient, plan.validation, plan.test_from, seed, treated_on or {})
    split_of: dict[str, SplitName] = {}
    for label in (0, 1):
        patients = _queue(labels_by_patient, label, seed)
        if len(patients) < FEWEST_PER_CLASS:
            raise NotEnoughCases(
                f"each class should have at least {FEWEST_PER_CLASS} patients, one for each split; "
                f"label {label} has {len(patients)}"
            )
        num_validation, num_test = _sizes(len(patients), plan)
        for position, patient in enumerate(patients):
            split_of[patient] = _name(position, num_validation, num_test)
    return split_of


def first_treatments(rows: Iterable[CaseRow]) -> dict[str, date]:
    """Day of the first treatment of each patient all of whose cases have a day.

    The first one decides on which side of a date a patient falls: nobody is in a test set of new patients who was
    treated before, and all of a patient's cases stay together.
    """
    days: dict[str, list[date | None]] = {}
    for row in rows:
        days.setdefault(row.patient_id, []).append(row.treatment_date)
    return {
        patient: min(day for day in found if day is not None) for patient, found in days.items() if None not in found
    }


def _split_by_date(
    labels_by_patient: Mapping[str, int],
    validation: float,
    test_from: date,
    seed: int,
    treated_on: Mapping[str, date],
) -> dict[str, SplitName]:
    if undated := [patient for patient in labels_by_patient if patient not in treated_on]:
        raise SplitUnusable(
            f"split.test_from is {test_from}: every case needs a treatment_date, and {len(undated)} of "
            f"{len(labels_by_patient)} patients have a case without one",
            hint="fill treatment_date in the case table, or take split.test_from out of the plan",
        )
    split_of: dict[str, SplitName] = {}
    for label in (0, 1):
        patients = _queue(labels_by_patient, label, seed)
        later = [patient for patient in patients if treated_on[patient] >= test_from]
        earlier = [patient for patient in patients if treated_on[patient] < test_from]
        if len(earlier) < 2 or not later:
            raise NotEnoughCases(
                f"each class should have at least 2 patients before {test_from} and 1 from then on; "
                f"label {label} has {len(earlier)} and {len(later)}"
            )
        num_validation = min(max(1, round(len(earlier) * validation)), len(earlier) - 1)
        split_of |= dict.fromkeys(later, "test")
        split_of |= dict.fromkeys(earlier[:num_validation], "validation")
        split_of |= dict.fromkeys(earlier[num_validation:], "train")
    return split_of


def _queue(labels_by_patient: Mapping[str, int], label: int, seed: int) -> list[str]:
    """The patients of one class in an order that the seed decides."""
    patients = (patient for patient, value in labels_by_patient.items() if value == label)
    return sorted(patients, key=lambda patient: _draw(seed, patient))


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
