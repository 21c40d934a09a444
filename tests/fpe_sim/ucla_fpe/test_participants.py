from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from fpe_core.data.case_row import CaseRow
from fpe_core.data.inclusion import Arm, inclusion_flow
from fpe_core.errors import NotEnoughCases, SplitUnusable
from fpe_sim.cohorts.ready import ReadyCohort
from fpe_sim.ucla_fpe.models import candidates, plan_of
from fpe_sim.ucla_fpe.participants import (
    VESSEL_UNKNOWN,
    by_date,
    participants,
    unlabelled_scans,
    without_unknown_vessel,
)
from fpe_sim.ucla_fpe.protocol import UclaFpe

MakeRow = Callable[..., CaseRow]
DAY = date(2020, 1, 1)


def cohort(rows: list, **options: object) -> ReadyCohort:
    return ReadyCohort(
        name="ucla-mr",
        site_file=Path("site.yaml"),
        rows=tuple(rows),
        files={row.case_id: Path(f"{row.case_id}.safetensors") for row in rows},
        set_aside={},
        synthetic=True,
        reachable_auc={},
        **{"groups": {}, **options},
    )


def test_a_patient_belongs_where_the_first_treatment_was(make_row: MakeRow) -> None:
    rows = [
        make_row(1, treatment_date=date(2019, 12, 31)),
        make_row(2, treatment_date=DAY),
        make_row(3, year=2021, patient_id="p1"),
    ]
    development, test = by_date(rows, DAY)
    assert [row.case_id for row in development] == ["c1", "c3"]
    assert [row.case_id for row in test] == ["c2"]


def test_a_case_without_a_day_is_an_error(make_row: MakeRow) -> None:
    with pytest.raises(SplitUnusable, match="1 patients have one without"):
        by_date([make_row(1), make_row(2, year=None)], DAY)


def test_a_regional_input_leaves_out_who_has_no_known_vessel(make_row: MakeRow) -> None:
    rows = [make_row(1), make_row(2, occlusion_site=None), make_row(3, image_quality_degraded=True)]
    flow = inclusion_flow(rows, task="fpe", arms=[Arm("mr", ("dwi",))])
    narrowed = without_unknown_vessel(flow, rows)
    assert flow.included == ("c1", "c2")
    assert narrowed.included == ("c1",)
    assert dict(narrowed.excluded)[VESSEL_UNKNOWN] == 1
    assert narrowed.reason_of["c2"] == VESSEL_UNKNOWN
    assert narrowed.reason_of["c3"] == "degraded image quality"


def test_cohorts_are_divided_and_counted(make_row: MakeRow, protocol: UclaFpe) -> None:
    rows = [make_row(i, label=i % 2, year=2015) for i in range(12)]
    rows += [make_row(20 + i, label=i % 2, year=2021) for i in range(4)]
    rows += [make_row(30, images={"dwi": "dwi.nii"})]
    who = participants(cohort(rows), protocol)
    assert (len(who.development), len(who.test), who.flow.eligible) == (12, 4, 17)
    assert dict(who.flow.excluded)["missing series"] == 1
    assert not {row.case_id for row in who.included} & {"c30"}


@pytest.mark.parametrize(
    ("years", "said"),
    [((2015, 2015), "at least 2 patients from 2020-01-01 on; label 0 has 0"), ((2021, 2021), "before 2020-01-01")],
)
def test_too_few_of_a_class_are_told_before_anything_is_trained(
    make_row: MakeRow, protocol: UclaFpe, years: tuple[int, int], said: str
) -> None:
    rows = [make_row(i, label=i % 2, year=years[i % 2]) for i in range(16)]
    with pytest.raises(NotEnoughCases, match=said):
        participants(cohort(rows), protocol)


def test_scans_for_self_supervision_need_no_label_and_no_vessel(make_row: MakeRow, protocol: UclaFpe) -> None:
    rows = [
        make_row(1, num_passes=None, mtici_after_first_pass=None, occlusion_site=None),
        make_row(2, occlusion_site="m2"),
        make_row(3, images={"dwi": "dwi.nii"}),
        make_row(4),
    ]
    plan = plan_of(protocol, candidates("mr")[-1])
    scans = unlabelled_scans(cohort(rows), plan, kept_out={"p4"})
    assert [(case.file.stem, case.occlusion_site) for case in scans.cases] == [("c1", "ica"), ("c2", "m2")]
    assert scans.regions is not None
    assert scans.channels == ("dwi", "flair", "adc")
    with pytest.raises(NotEnoughCases, match="has 1") as caught:
        unlabelled_scans(cohort(rows), plan, kept_out={"p1", "p4"})
    assert "unlabelled_site" in caught.value.hint
