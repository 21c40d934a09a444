"""Who is in the home test cohort: by day, by the cohort's own division, or by lot; never half a patient."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fpe_core.data.case_table import CaseRow
from fpe_core.errors import SplitUnusable
from fpe_sim.cohorts.ready import Group, ReadyCohort
from fpe_sim.external_validation.participants import (
    count_cases,
    fewest_patients_of_a_class,
    labels_by_patient,
    participants,
)
from fpe_sim.external_validation.protocol import HospitalPlan

RowOf = Callable[..., CaseRow]


def cohort(rows: list[CaseRow], groups: dict[str, Group] | None = None) -> ReadyCohort:
    files = {row.case_id: Path(f"{row.case_id}.safetensors") for row in rows}
    return ReadyCohort("north", Path("site.yaml"), tuple(rows), files, {}, False, {}, groups or {})


def ids(rows: tuple[CaseRow, ...]) -> list[str]:
    return [row.case_id for row in rows]


def test_patients_treated_from_the_day_on_are_the_test_cohort(table_row: RowOf) -> None:
    days = [date(2019, 12, 31), date(2020, 1, 1), date(2021, 6, 1), date(2014, 1, 1)]
    rows = [table_row(i, label=i % 2, treatment_date=day) for i, day in enumerate(days)]
    # The patient of case 3 comes back in 2021: both treatments belong to development.
    rows.append(table_row(4, label=0, treatment_date=date(2021, 1, 1), patient_id="p3"))
    found = participants(cohort(rows), "fpe", HospitalPlan(num_folds=2, test_from=date(2020, 1, 1)), seed=1)
    assert ids(found.test) == ["c1", "c2"]
    assert ids(found.development) == ["c0", "c3", "c4"]
    assert ids(found.rows) == ["c0", "c1", "c2", "c3", "c4"]


def test_a_division_by_day_needs_days(table_row: RowOf) -> None:
    rows = [table_row(i, label=i % 2) for i in range(4)]
    with pytest.raises(SplitUnusable, match="4 patients have a case without treatment_date"):
        participants(cohort(rows), "fpe", HospitalPlan(num_folds=2, test_from=date(2020, 1, 1)), seed=1)


def test_the_cohorts_own_division_is_kept(table_row: RowOf) -> None:
    rows = [table_row(i, label=i % 2) for i in range(4)]
    groups: dict[str, Group] = {"c0": "development", "c1": "test", "c2": "development", "c3": "test"}
    found = participants(cohort(rows, groups), "fpe", HospitalPlan(num_folds=2), seed=1)
    assert (ids(found.development), ids(found.test)) == (["c0", "c2"], ["c1", "c3"])


def test_else_a_random_share_of_the_patients(table_row: RowOf) -> None:
    rows = [table_row(i, label=int(i < 40), patient_id=f"p{i // 2}") for i in range(100)]
    plan = HospitalPlan(num_folds=2, test_share=0.2)
    found = participants(cohort(rows), "fpe", plan, seed=1)
    assert count_cases(found.test, "fpe") == (8, 20)
    assert not {row.patient_id for row in found.test} & {row.patient_id for row in found.development}
    assert ids(found.test) == ids(participants(cohort(rows), "fpe", plan, seed=1).test)
    assert ids(found.test) != ids(participants(cohort(rows), "fpe", plan, seed=2).test)


def test_cases_without_outcome_or_images_take_no_part(table_row: RowOf) -> None:
    rows: list[CaseRow] = [table_row(i, label=i % 2) for i in range(12)]
    unknown: dict[str, Any] = {"num_passes": None, "mtici_after_first_pass": None}
    rows += [table_row(12, label=0, **unknown), table_row(13, label=1, images={"ncct": Path("n.nii")})]
    found = participants(cohort(rows), "fpe", HospitalPlan(num_folds=2), seed=1)
    assert len(found.rows) == 12
    assert dict(found.flow.excluded)["missing series"] == 1
    assert dict(found.flow.excluded)["outcome does not decide the label"] == 1


def test_a_patient_counts_once_with_the_largest_label(table_row: RowOf) -> None:
    rows = [table_row(0, label=0, patient_id="a"), table_row(1, label=1, patient_id="a"), table_row(2, label=0)]
    assert labels_by_patient(rows, "fpe") == {"a": 1, "p2": 0}
    assert fewest_patients_of_a_class(rows, "fpe") == 1
    assert fewest_patients_of_a_class(rows[2:], "fpe") == 0
