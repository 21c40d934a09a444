"""Who develops and who tests."""

from dataclasses import replace

import numpy as np
import pytest

from fpe_core.data.clinical_columns import CTP_COLUMNS, RLVO_COLUMNS
from fpe_core.data.inclusion import ROW_UNUSABLE
from fpe_core.errors import NotEnoughCases
from fpe_sim.vdh_rlvo.cohort import divided, fitted_scaler, fold_numbers, labels_of, recovered, study_cohort
from fpe_sim.vdh_rlvo.protocol import VdhProtocol
from tests.fpe_sim.vdh_rlvo.conftest import MakeCohort, a_row


def test_phantoms_are_divided_as_they_say(make_cohort: MakeCohort, protocol: VdhProtocol) -> None:
    cohort = study_cohort(make_cohort(), protocol)
    assert (len(cohort.division.development), len(cohort.division.test)) == (14, 8)
    assert (labels_of(cohort.division.development).sum(), labels_of(cohort.division.test).sum()) == (6, 4)
    assert dict(cohort.flow.excluded)["NCCT, CTA or CTP missing"] == 2


def test_a_phantom_cohort_of_another_outcome_has_its_own_best_for_this_one(
    make_cohort: MakeCohort, protocol: VdhProtocol
) -> None:
    other = replace(make_cohort(), reachable_auc={"images": 0.9}, reachable_auc_by_task={"rlvo": {"images": 0.7}})
    assert study_cohort(other, protocol).ready.reachable_auc == {"images": 0.7}


def test_rows_that_the_table_refused_are_in_the_flow(make_cohort: MakeCohort, protocol: VdhProtocol) -> None:
    whole = make_cohort()
    ready = replace(whole, refused_rows={"odd": "FPE-204"}, nameless_rows=2)
    assert ready.num_rows == whole.num_rows + 3
    flow = study_cohort(ready, protocol).flow
    assert flow.eligible == study_cohort(whole, protocol).flow.eligible + 3
    assert dict(flow.excluded)[ROW_UNUSABLE] == 3


def test_other_cohorts_give_a_fifth_of_each_class_for_the_test(make_cohort: MakeCohort) -> None:
    rows = [a_row(i, refractory=i < 20) for i in range(100)]
    ready = replace(make_cohort(), groups={})
    division = divided(ready, rows, seed=1)
    assert len(division.test) == 20
    assert labels_of(division.test).sum() == 4
    assert not {row.patient_id for row in division.test} & {row.patient_id for row in division.development}
    assert divided(ready, rows, seed=1) == division
    assert divided(ready, list(reversed(rows)), seed=1).test == tuple(reversed(division.test))
    assert divided(ready, rows, seed=2) != division


def test_all_of_a_patients_cases_are_in_one_cohort(make_cohort: MakeCohort) -> None:
    rows = [a_row(i, refractory=i % 4 == 0).model_copy(update={"patient_id": f"p{i // 2}"}) for i in range(60)]
    division = divided(replace(make_cohort(), groups={}), rows, seed=3)
    assert not {row.patient_id for row in division.test} & {row.patient_id for row in division.development}


def test_dropping_perfusion_brings_patients_back_for_development(
    make_cohort: MakeCohort, protocol: VdhProtocol
) -> None:
    cohort = study_cohort(make_cohort(), protocol)
    few = tuple(column for column in RLVO_COLUMNS if column not in CTP_COLUMNS)
    assert recovered(cohort, RLVO_COLUMNS) == cohort.division.development
    more = recovered(cohort, few)
    assert len(more) == 16
    testing = {row.case_id for row in cohort.division.test}
    assert not testing & {row.case_id for row in more}


def test_a_recovered_case_of_a_test_patient_stays_out(make_cohort: MakeCohort, protocol: VdhProtocol) -> None:
    ready = make_cohort()
    *others, last = ready.rows
    again = last.model_copy(update={"patient_id": "p20"})
    cohort = study_cohort(replace(ready, rows=(*others, again)), protocol)
    assert len(recovered(cohort, ("nihss",))) == 15


def test_a_class_too_small_for_the_folds_is_an_error_before_any_training(
    make_cohort: MakeCohort, protocol: VdhProtocol
) -> None:
    ready = make_cohort()
    with pytest.raises(
        NotEnoughCases, match="at least 7 patients with a refractory occlusion and 7 without, got 6 and 8"
    ):
        study_cohort(ready, protocol.model_copy(update={"num_folds": 7}))
    negative = tuple(a_row(20 + i, refractory=False) for i in range(8))
    with pytest.raises(NotEnoughCases, match="the test cohort should have at least 1 patients") as caught:
        study_cohort(replace(ready, rows=(*ready.rows[:14], *negative)), protocol)
    assert "dials.scale" in str(caught.value.hint)


def test_the_scale_is_that_of_the_development_cases(make_cohort: MakeCohort, protocol: VdhProtocol) -> None:
    division = study_cohort(make_cohort(), protocol).division
    scaler = fitted_scaler(division.development, ("age_years",))
    assert scaler.low == (min(row.age_years or 0 for row in division.development),)


def test_folds_are_those_of_the_networks(make_cohort: MakeCohort, protocol: VdhProtocol) -> None:
    rows = study_cohort(make_cohort(), protocol).division.development
    folds = fold_numbers(rows, protocol)
    assert sorted(np.concatenate(folds).tolist()) == list(range(14))
    assert [int(labels_of([rows[i] for i in fold]).sum()) for fold in folds] == [3, 3]
