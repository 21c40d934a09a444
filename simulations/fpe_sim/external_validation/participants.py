"""Who takes part at a hospital, and which of them are for development and for the hospital's own test."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fpe_core.config.study import SplitPlan, Task
from fpe_core.data.case_table import CaseRow
from fpe_core.data.inclusion import Flow
from fpe_core.data.labels import label_of
from fpe_core.data.splits import first_treatments, split_patients
from fpe_core.errors import SplitUnusable
from fpe_sim.cohorts.ready import ReadyCohort
from fpe_sim.external_validation.protocol import SEQUENCES, HospitalPlan

LEAST_FOR_A_DRAW = 3
"""Patients of each class below which no test cohort is drawn: there would be nobody to train on."""


@dataclass(frozen=True, eq=False)
class Participants:
    """The cases of one hospital that have an outcome and images.

    Attributes:
        flow: why others do not take part.
        development: cases of the cross-validation when this hospital is the home.
        test: cases of its own test cohort.
        rows: both, in the table's order: the cases that a visiting model is judged on.
    """

    flow: Flow
    development: tuple[CaseRow, ...]
    test: tuple[CaseRow, ...]
    rows: tuple[CaseRow, ...]


def count_cases(rows: Sequence[CaseRow], task: Task) -> tuple[int, int]:
    """Cases with the outcome, and all."""
    return sum(label_of(task, row) or 0 for row in rows), len(rows)


def participants(cohort: ReadyCohort, task: Task, plan: HospitalPlan, *, seed: int) -> Participants:
    """Divide a hospital's included cases by patient.

    Raises:
        SplitUnusable: the plan divides by day, and a case has none.
    """
    flow = cohort.flow(task, SEQUENCES)
    rows = tuple(row for row in cohort.rows if row.case_id in flow.arm_of)
    in_test = _test_patients(cohort, rows, task, plan, seed)
    return Participants(
        flow=flow,
        development=tuple(row for row in rows if not in_test(row.patient_id)),
        test=tuple(row for row in rows if in_test(row.patient_id)),
        rows=rows,
    )


def fewest_patients_of_a_class(rows: Sequence[CaseRow], task: Task) -> int:
    """Patients of the rarer outcome: a cross-validation can have no more folds."""
    counts = Counter(labels_by_patient(rows, task).values())
    return min(counts[0], counts[1])


def labels_by_patient(rows: Sequence[CaseRow], task: Task) -> dict[str, int]:
    """The label of each patient; of several cases the largest one."""
    labels: dict[str, int] = {}
    for row in rows:
        labels[row.patient_id] = max(label_of(task, row) or 0, labels.get(row.patient_id, 0))
    return labels


def _test_patients(
    cohort: ReadyCohort, rows: Sequence[CaseRow], task: Task, plan: HospitalPlan, seed: int
) -> Callable[[str], bool]:
    """Tells whether a patient belongs to the test cohort."""
    if (day := plan.test_from) is not None:
        treated = first_treatments(rows)
        if missing := {row.patient_id for row in rows} - set(treated):
            raise SplitUnusable(
                f"{cohort.name}: test_from is {day}, and {len(missing)} patients have a case without treatment_date",
                hint="fill treatment_date in the case table, or set test_from to null for a random test cohort",
            )
        return lambda patient: treated[patient] >= day
    if cohort.groups:
        stated = {row.patient_id for row in rows if cohort.groups.get(row.case_id) == "test"}
        return lambda patient: patient in stated
    if fewest_patients_of_a_class(rows, task) < LEAST_FOR_A_DRAW:
        return lambda _patient: False
    # The share that split_patients keeps for validation is development here: cross-validation divides that itself.
    split = split_patients(labels_by_patient(rows, task), SplitPlan(test=plan.test_share), seed=seed)
    return lambda patient: split[patient] == "test"
