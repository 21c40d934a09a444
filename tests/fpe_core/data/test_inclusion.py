"""The papers' own numbers, the first reason that counts, and sums that hold for any cohort."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpe_core.config.study import Task
from fpe_core.data.case_table import CaseRow
from fpe_core.data.flow_chart import flow_picture, flow_text
from fpe_core.data.inclusion import CRITERIA, ROW_UNUSABLE, Arm, Flow, inclusion_flow

MR, CT = ("dwi", "flair", "adc"), ("ncct", "cta")
CTP = {"cbf_under_30_ml": 5, "tmax_over_4_s_ml": 190, "tmax_over_6_s_ml": 100, "tmax_over_10_s_ml": 40}
RLVO = {**CTP, "stenosis_percent": 10, "final_mtici": "3", "rescue_treatment": 0, "occlusion_site": "m1"}
REASONS = sorted({reason for criteria in CRITERIA.values() for reason in (c.reason for c in criteria)})


def row(number: int, images: tuple[str, ...], **cells: Any) -> CaseRow:
    cells = {"case_id": f"c{number}", "patient_id": f"p{number}", **cells}
    return CaseRow.model_validate({**cells, "images": {name: Path(f"{name}.nii.gz") for name in images}})


def cohort(*groups: tuple[int, tuple[str, ...], dict[str, Any]]) -> list[CaseRow]:
    numbers: Iterator[int] = iter(range(10_000))
    return [row(next(numbers), images, **cells) for count, images, cells in groups for _ in range(count)]


def test_ucla_figure_408_to_332() -> None:
    success = {"num_passes": 1, "mtici_after_first_pass": "3", "occlusion_site": "m1"}
    rows = cohort(
        (30, ("dwi",), success),
        (22, ("cta",), success),
        (24, MR, {**success, "image_quality_degraded": 1}),
        (152, MR, success),
        (180, CT, success),
    )
    flow = inclusion_flow(rows, task="fpe", arms=[Arm("MR", MR), Arm("CT", CT)])
    assert flow.eligible == 408
    assert {reason: n for reason, n in flow.excluded if n} == {"missing series": 52, "degraded image quality": 24}
    assert len(flow.included) == 332
    assert flow.arms == {"MR": 152, "CT": 180}


def test_scanet_254_to_177() -> None:
    known = {"final_mtici": "3", "occlusion_side": "left"}
    rows = cohort((40, ("cta",), known), (29, ("ncct",), known), (8, CT, {"final_mtici": "3"}), (177, CT, known))
    flow = inclusion_flow(rows, task="recanalization", arms=[Arm("CT", CT)])
    assert {reason: n for reason, n in flow.excluded if n} == {"missing series": 69, "side of the stroke unclear": 8}
    assert (flow.eligible, len(flow.included)) == (254, 177)


def test_vall_dhebron_839_to_599() -> None:
    few = {**RLVO, "tmax_over_4_s_ml": None, "tmax_over_6_s_ml": None}
    rows = cohort(
        (45, CT, {**RLVO, "no_occlusion_on_angiography": 1}),
        (18, CT, {**RLVO, "several_occlusions": 1}),
        (37, CT, {**RLVO, "image_quality_degraded": 1}),
        (60, ("ncct",), RLVO),
        (20, CT, {**RLVO, **dict.fromkeys(CTP)}),
        (21, CT, RLVO),
        (39, CT, few),
        (599, CT, RLVO),
    )
    failed = {r.case_id: "FPE-219" for r in rows[180:201]}
    flow = inclusion_flow(rows, task="rlvo", arms=[Arm("CT", CT, failed)])
    assert flow.excluded == (
        (ROW_UNUSABLE, 0),
        ("not an anterior LVO (ICA, M1, M2)", 0),
        ("no occlusion on baseline angiography", 45),
        ("several synchronous occlusions", 18),
        ("severe artefacts", 37),
        ("NCCT, CTA or CTP missing", 80),
        ("registration failed", 21),
        ("more than 3 CTP parameters missing", 39),
        ("picture not looked at yet", 0),
        ("not preprocessed", 0),
        ("outcome does not decide the label", 0),
    )
    assert (flow.eligible, len(flow.included)) == (839, 599)


def test_the_first_reason_counts() -> None:
    both = row(0, ("dwi",), occlusion_site="basilar", significant_haemorrhage=1)
    flow = inclusion_flow([both], task="fpe", arms=[Arm("MR", MR)])
    assert flow.reason_of == {"c0": "not anterior circulation"}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("FPE-211", "missing series"),
        ("FPE-215", "degraded image quality"),
        ("FPE-220", "registration failed"),
        ("FPE-226", "registration failed"),
        ("FPE-227", "picture not looked at yet"),
        ("FPE-221", "not preprocessed"),
    ],
)
def test_a_quarantined_case_has_the_reason_of_its_code(code: str, reason: str) -> None:
    rows = [row(0, MR, num_passes=1, mtici_after_first_pass="3")]
    flow = inclusion_flow(rows, task="fpe", arms=[Arm("MR", MR, {"c0": code})])
    assert flow.reason_of == {"c0": reason}


def test_a_case_that_failed_in_one_arm_takes_part_in_the_other() -> None:
    rows = [row(0, MR + CT, num_passes=1, mtici_after_first_pass="3")]
    flow = inclusion_flow(rows, task="fpe", arms=[Arm("MR", MR, {"c0": "FPE-219"}), Arm("CT", CT)])
    assert flow.arm_of == {"c0": "CT"}
    both = [Arm("MR", MR, {"c0": "FPE-219"}), Arm("CT", CT, {"c0": "FPE-226"})]
    assert inclusion_flow(rows, task="fpe", arms=both).reason_of == {"c0": "registration failed"}


def test_cases_that_preprocessing_has_not_seen_wait() -> None:
    rows = cohort((2, MR, {"num_passes": 1, "mtici_after_first_pass": "3"}))
    flow = inclusion_flow(rows, task="fpe", arms=[Arm("MR", MR, ready=frozenset({"c1"}))])
    assert (flow.included, flow.reason_of) == (("c1",), {"c0": "not preprocessed"})


def test_a_vessel_prior_needs_no_file_where_there_is_a_cta() -> None:
    rows = [row(0, CT, final_mtici="3", occlusion_side="left")]
    flow = inclusion_flow(rows, task="recanalization", arms=[Arm("CT", (*CT, "vessels"))])
    assert flow.included == ("c0",)


def test_ctp_counts_only_where_the_model_sees_it() -> None:
    rows = [row(0, CT, **{**RLVO, **dict.fromkeys(CTP)})]
    assert not inclusion_flow(rows, task="rlvo", arms=[Arm("CT", CT)]).included
    assert inclusion_flow(rows, task="rlvo", arms=[Arm("CT", CT)], columns=("age_years", "nihss")).included == ("c0",)


CODES = st.sampled_from([None, "FPE-211", "FPE-213", "FPE-219", "FPE-221", "FPE-226", "FPE-227", "FPE-228"])
MAYBE = st.sampled_from([None, 0, 1])


@given(data=st.data(), task=st.sampled_from(get_args(Task)), count=st.integers(0, 12))
def test_every_case_is_included_or_has_one_reason(data: st.DataObject, task: Task, count: int) -> None:
    rows = [
        row(
            i,
            tuple(data.draw(st.sets(st.sampled_from(MR + CT)))),
            significant_haemorrhage=data.draw(MAYBE),
            several_occlusions=data.draw(MAYBE),
            image_quality_degraded=data.draw(MAYBE),
            occlusion_site=data.draw(st.sampled_from([None, "m1", "m3", "basilar"])),
            occlusion_side=data.draw(st.sampled_from([None, "left"])),
            final_mtici=data.draw(st.sampled_from([None, "1", "3"])),
            num_passes=data.draw(st.sampled_from([None, 0, 1, 3])),
            tmax_over_6_s_ml=data.draw(st.sampled_from([None, 0.0, 50.0])),
        )
        for i in range(count)
    ]
    codes = {name: code for i in range(count) if (code := data.draw(CODES)) for name in [f"c{i}"]}
    refused = {"c0": "FPE-231", "gone": "FPE-230"} if data.draw(st.booleans()) else {}
    arms = [Arm("MR", MR, codes), Arm("CT", CT)]
    flow = inclusion_flow(rows, task=task, arms=arms, refused_rows=refused)
    more = inclusion_flow(rows, task=task, arms=arms, refused_rows=refused, nameless_rows=2)
    assert (more.eligible, more.excluded[0]) == (flow.eligible + 2, (ROW_UNUSABLE, flow.excluded[0][1] + 2))
    assert (more.included, more.excluded[1:]) == (flow.included, flow.excluded[1:])
    assert flow.eligible == len({r.case_id for r in rows} | set(refused))
    assert set(flow.included).isdisjoint(flow.reason_of)
    assert len(flow.included) + len(flow.reason_of) == flow.eligible
    assert sum(flow.arms.values()) == len(flow.included)
    for reason, number in flow.excluded:
        assert number == sum(given == reason for given in flow.reason_of.values())


def test_numbers_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match="together"):
        Flow(3, (("x", 1),), ("a",), {"b": "x"}, {"a": "MR"})
    with pytest.raises(ValueError, match="different names"):
        inclusion_flow([], task="fpe", arms=[Arm("MR", MR), Arm("MR", CT)])


def test_the_chart_says_the_numbers() -> None:
    flow = Flow(408, (("missing series", 52), ("never", 0), ("degraded", 24)), tuple(map(str, range(332))), {}, {})
    said = flow_text(flow)
    assert [word for word in said.split() if word.isdigit()] == ["408", "76", "52", "24", "332"]
    assert "never" not in said
    assert flow_picture(flow) == flow_picture(flow)
    assert flow_picture(flow).startswith(b"\x89PNG")
