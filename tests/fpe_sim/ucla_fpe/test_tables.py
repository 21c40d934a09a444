from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from fpe_core.data.case_row import CaseRow
from fpe_core.data.inclusion import Arm, inclusion_flow
from fpe_core.evaluation.folds import FoldDifference
from fpe_core.training.fold_store import FoldOutcome
from fpe_sim.pretrained import PretrainingHistory
from fpe_sim.ucla_fpe.findings import findings, numbers
from fpe_sim.ucla_fpe.measured import Measured, difference, measure
from fpe_sim.ucla_fpe.models import BASE, SSL, candidates
from fpe_sim.ucla_fpe.paper import CROSS_VALIDATION
from fpe_sim.ucla_fpe.participants import Participants
from fpe_sim.ucla_fpe.protocol import Modality
from fpe_sim.ucla_fpe.tables import comparison_table, cross_validation_table, flow_table, prospective_table

HISTORY = PretrainingHistory(epoch_losses=(-0.2, -0.8), epoch_spreads=(0.9, 0.7), epoch_ranks=(3.0, 4.0))
GOOD, FAIR = [0.9, 0.8, 0.2, 0.1], [0.9, 0.2, 0.8, 0.1]


def measured(
    make_fold: Callable[..., FoldOutcome], modality: Modality = "mr", test: Sequence[float] = GOOD
) -> dict[str, Measured]:
    return {
        one.name: measure([make_fold(n, GOOD if one.pretrained else FAIR, test) for n in (1, 2)])
        for one in candidates(modality)
    }


@pytest.fixture
def who(make_row: Callable[..., CaseRow]) -> Participants:
    rows = [make_row(i) for i in range(5)] + [make_row(9, images={"dwi": "d.nii"})]
    flow = inclusion_flow(rows, task="fpe", arms=[Arm("mr", ("dwi", "adc"))])
    return Participants(flow, tuple(rows[:4]), tuple(rows[4:5]))


@pytest.mark.parametrize("modality", ["mr", "ct"])
def test_each_printed_row_stands_beside_what_was_measured(
    make_fold: Callable[..., FoldOutcome], modality: Modality
) -> None:
    table = cross_validation_table(modality, measured(make_fold, modality), 2)
    assert [row.name for row in table.rows] == list(CROSS_VALIDATION[modality])
    for row in table.rows:
        assert tuple(entry.paper for entry in row.entries) == CROSS_VALIDATION[modality][row.name]
        assert row.entries[0].here == ("1.0000 (.0000)" if row.name == SSL else ".7500 (.0000)")


def test_the_other_modality_of_table_4_is_the_papers_alone(make_fold: Callable[..., FoldOutcome]) -> None:
    table = prospective_table("ct", measured(make_fold, "ct"), 4, "2020-01-01")
    rows = {row.name: row for row in table.rows}
    assert [entry.paper for entry in rows[f"{SSL}, MR"].entries] == [
        ".7967 (.0335)", ".7774 (.0367)", ".7286 (.1849)", ".8462 (.1216)",
    ]  # fmt: skip
    assert all(not entry.here for entry in rows[f"{SSL}, MR"].entries)
    assert rows[f"{SSL}, CT"].entries[0].paper == ".8051 (.0377)"
    assert rows[f"{SSL}, CT"].entries[0].value == 1.0
    assert not rows[f"{BASE}, CT"].entries[0].paper


def test_the_flow_adds_up(who: Participants) -> None:
    table = flow_table("mr", who, 7, "2020-01-01")
    cells = {row.name: row.entries for row in table.rows}
    assert cells["eligible"][0].value == 6
    assert cells["missing series"][0].value == 1
    assert cells["missing series"][1].paper == "52"
    assert (cells["included"][0].value, cells["included"][0].paper) == (5, "152")
    assert cells["scans for self-supervision"][0].value == 7


def test_the_gain_is_told_with_three_intervals(make_fold: Callable[..., FoldOutcome]) -> None:
    gain = difference(*([make_fold(n, one, one) for n in (1, 2)] for one in (GOOD, FAIR)))
    table = comparison_table(gain, "+.1001")
    assert table.rows[0].entries[0].here == "0.250 (-1.000 to 1.000)"
    assert table.rows[0].entries[0].paper == "+.1001"
    assert [row.entries[0].value for row in table.rows] == [0.25, 0.25, 0.25]


@pytest.mark.parametrize(
    ("over_folds", "out_of_fold", "verdict"),
    [
        ((0.01, 0.2), (0.02, 0.1), "exclude zero, it helped"),
        ((-0.2, -0.01), (-0.1, -0.02), "exclude zero, it did harm"),
        ((-0.1, 0.1), (0.02, 0.1), "includes zero, and no gain or loss is shown"),
        ((0.01, 0.2), (-0.02, 0.1), "the next includes it, and no gain or loss is shown"),
    ],
)
def test_a_sentence_says_whether_self_supervision_helped(
    make_fold: Callable[..., FoldOutcome],
    who: Participants,
    over_folds: tuple[float, float],
    out_of_fold: tuple[float, float],
    verdict: str,
) -> None:
    same = difference(*([make_fold(n, GOOD, GOOD) for n in (1, 2)] for _ in range(2)))
    cross = replace(same.out_of_fold, low=out_of_fold[0], high=out_of_fold[1])
    gain = replace(same, over_folds=FoldDifference(sum(over_folds) / 2, *over_folds, None), out_of_fold=cross)
    said = findings(measured(make_fold), gain, who, 0.89, HISTORY, num_scans=7)
    assert verdict in said[1]
    assert "no model can expect more than 0.890" in said[0]


def test_a_real_cohort_has_no_reachable_auc(make_fold: Callable[..., FoldOutcome], who: Participants) -> None:
    folds = [make_fold(n, GOOD, GOOD) for n in (1, 2)]
    gain, found = difference(folds, folds), measured(make_fold)
    assert "expect" not in " ".join(findings(found, gain, who, None, HISTORY, num_scans=7))
    assert not [name for name in numbers("mr", found, gain, who, {}, HISTORY, 7) if "reachable" in name]
    with_it = numbers("mr", found, gain, who, {"images": 0.9}, HISTORY, 7)
    assert with_it["share_of_reachable"] == pytest.approx(1.25)
    assert with_it["cv_auc_mnt_dl"] == 0.75


def test_a_collapsed_pretraining_and_an_empty_interval_are_told(
    make_fold: Callable[..., FoldOutcome], who: Participants
) -> None:
    folds = [make_fold(n, GOOD, GOOD) for n in (1, 2)]
    collapsed = HISTORY.model_copy(update={"collapsed": True})
    apart = measured(make_fold, test=[0.9, 0.8, 0.7, 0.65, 0.6, 0.4, 0.3, 0.2, 0.15, 0.1])
    said = findings(apart, difference(folds, folds), who, None, collapsed, num_scans=7)
    assert "it has collapsed" in said[2]
    assert "has no width, and says nothing" in said[0]
