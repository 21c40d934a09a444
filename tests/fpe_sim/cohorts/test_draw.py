from collections import Counter
from datetime import date

import numpy as np
import pytest

from fpe_core.config.study import Task
from fpe_core.data.labels import label_of
from fpe_core.data.tabular import too_many_missing
from fpe_sim.cohorts.flows import FLOWS, PaperCohort
from tests.fpe_sim.cohorts.cohort_rows import patients, rows_of

LABELLED: tuple[tuple[PaperCohort, Task], ...] = (
    ("ucla-mr", "fpe"), ("ucla-ct", "fpe"), ("ucla-scanet", "recanalization"), ("vdh", "rlvo"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "eligible", "included", "positive"),
    [("ucla-mr", 187, 152, 67), ("ucla-ct", 221, 180, 73), ("ucla-scanet", 254, 177, 86), ("vdh", 839, 599, 93)],
)
def test_numbers_are_the_papers(name: PaperCohort, eligible: int, included: int, positive: int) -> None:
    drawn = patients(name, 1)
    kept = [patient for patient in drawn if patient.exclusion is None]
    assert (len(drawn), len(kept)) == (eligible, included)
    assert sum(patient.labels[dict(LABELLED)[name]] for patient in kept) == positive
    assert FLOWS[name].num_cases(1.0) == eligible
    assert len({patient.case_id for patient in drawn}) == eligible


def test_both_modalities_of_ucla_together_give_the_printed_flow() -> None:
    reasons = Counter(patient.exclusion for name in ("ucla-mr", "ucla-ct") for patient in patients(name, 1))
    assert reasons == {None: 332, "series missing": 52, "quality degraded": 24}


@pytest.mark.parametrize("name", [name for name, _ in LABELLED])
def test_columns_give_back_every_label(name: PaperCohort) -> None:
    drawn = patients(name, 1)
    for row, patient in zip(rows_of(drawn, included=False), drawn, strict=True):
        if patient.exclusion != "no occlusion":
            assert {task: label_of(task, row) for task in patient.labels} == patient.labels


def test_vall_dhebron_is_split_as_printed() -> None:
    kept = [patient for patient in patients("vdh", 1) if patient.exclusion is None]
    assert Counter((patient.group, patient.labels["rlvo"]) for patient in kept) == {
        ("development", 1): 77, ("development", 0): 404, ("test", 1): 16, ("test", 0): 102,
    }  # fmt: skip


def test_patients_without_perfusion_are_recovered_for_training_only() -> None:
    drawn = patients("vdh", 1)
    without = [patient for patient in drawn if patient.exclusion == "CTP parameters missing"]
    assert {patient.group for patient in without} == {"development"}
    rows = {row.case_id: row for row in rows_of(drawn, included=False)}
    assert all(too_many_missing(rows[patient.case_id]) for patient in without)
    assert all(rows[patient.case_id].cbf_under_30_ml is not None for patient in without)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [("ucla-mr", 2014, 2021), ("ucla-ct", 2014, 2021), ("ucla-scanet", 2012, 2019), ("vdh", 2017, 2023)],
)
def test_treatments_are_a_steady_stream_in_the_order_of_the_ids(name: PaperCohort, first: int, last: int) -> None:
    drawn = patients(name, 1)
    days = [date.fromisoformat(str(patient.cells["treatment_date"])) for patient in drawn]
    assert days == sorted(days)
    years = Counter(day.year for day in days)
    assert (min(years), max(years)) == (first, last)
    assert all(count == pytest.approx(len(days) / len(years), rel=0.25) for count in years.values())


@pytest.mark.parametrize("scale", [1.0, 0.05])
@pytest.mark.parametrize("name", ["ucla-mr", "ucla-ct"])
def test_a_quarter_of_each_class_is_in_the_prospective_cohort(name: PaperCohort, scale: float) -> None:
    kept = [patient for patient in patients(name, 2, scale) if patient.exclusion is None]
    for label in (0, 1):
        later = [str(one.cells["treatment_date"]) >= "2020-01-01" for one in kept if one.labels["fpe"] == label]
        assert np.mean(later) == pytest.approx(0.25, abs=0.02)


def test_unlabelled_scans_have_no_outcome_and_some_have_no_occlusion() -> None:
    drawn = patients("ucla-mr-unlabelled", 1)
    assert len(drawn) == 599
    assert not any("final_mtici" in patient.cells or patient.labels for patient in drawn)
    assert np.mean([patient.occluded for patient in drawn]) == pytest.approx(0.6, abs=0.01)
    treated = np.median([float(patient.cells["nihss"]) for patient in patients("ucla-mr", 1)])
    assert np.median([float(patient.cells["nihss"]) for patient in drawn]) < treated - 5


@pytest.mark.parametrize("name", [name for name, _ in LABELLED])
def test_a_small_scale_keeps_both_classes(name: PaperCohort) -> None:
    drawn = patients(name, 1, 0.01)
    task = dict(LABELLED)[name]
    for group in {patient.group for patient in drawn}:
        labels = [one.labels[task] for one in drawn if one.group == group and one.exclusion is None]
        assert sum(labels) >= 2
        assert labels.count(0) >= 4
    assert len(drawn) == FLOWS[name].num_cases(0.01) <= 30


def test_a_seed_decides_everything() -> None:
    patients.cache_clear()
    first = patients("ucla-ct", 5)
    patients.cache_clear()
    assert patients("ucla-ct", 5) == first != patients("ucla-ct", 6)
