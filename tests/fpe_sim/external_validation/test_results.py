"""From predictions at home and away to tables and sentences."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from fpe_core.data.case_table import CaseRow
from fpe_core.data.inclusion import Flow
from fpe_core.evaluation.comparison import compare_unpaired_aucs
from fpe_core.training.fold_store import FoldOutcome
from fpe_sim.external_validation.figures import draw_figures
from fpe_sim.external_validation.findings import findings, numbers
from fpe_sim.external_validation.locks import Lock, LockedFold
from fpe_sim.external_validation.pairs import Pair
from fpe_sim.external_validation.participants import Participants
from fpe_sim.external_validation.results import PairResult, local_comparison, pair_result
from fpe_sim.external_validation.tables import tables

PAIR = Pair("ucla", "fpe")
RNG = np.random.default_rng(5)
HOME_LOGITS, AWAY_LOGITS = RNG.normal(0, 1.5, 120), RNG.normal(0, 1.5, 300)
HOME_LABELS = (RNG.random(120) < expit(HOME_LOGITS)).astype(int)
AWAY_LABELS = (RNG.random(300) < expit(AWAY_LOGITS - 1)).astype(int)


def lock(*thresholds: float) -> Lock:
    return Lock(
        name=PAIR.name, plan_sha256="a", recipe_sha256="b", label_sha256="c", threshold=float(np.mean(thresholds)),
        folds=tuple(
            LockedFold(number=i, weights_sha256="d", threshold=value) for i, value in enumerate(thresholds, start=1)
        ),
        locked_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


@pytest.fixture
def visitors(table_row: Callable[..., CaseRow]) -> Participants:
    rows = tuple(table_row(i, label=int(label)) for i, label in enumerate(AWAY_LABELS))
    flow = Flow(300, (), tuple(row.case_id for row in rows), {}, {row.case_id: "vdh" for row in rows})
    return Participants(flow, rows[60:], rows[:60], rows)


@pytest.fixture
def folds(fold: Callable[..., FoldOutcome]) -> list[FoldOutcome]:
    halves = [(expit(HOME_LOGITS[part]), HOME_LABELS[part]) for part in (slice(0, 60), slice(60, 120))]
    return [
        fold(number, half, (expit(HOME_LOGITS + 0.2 * number), HOME_LABELS))
        for number, half in enumerate(halves, start=1)
    ]


@pytest.fixture
def result(folds: list[FoldOutcome], visitors: Participants) -> PairResult:
    return pair_result(PAIR, lock(0.4, 0.6), folds, visitors, [expit(AWAY_LOGITS)] * 2, seed=1)


def test_the_loss_is_the_unpaired_comparison_of_the_ensembles(result: PairResult) -> None:
    mean = (expit(HOME_LOGITS + 0.2) + expit(HOME_LOGITS + 0.4)) / 2
    expected = compare_unpaired_aucs(
        first=mean, first_labels=HOME_LABELS, second=expit(AWAY_LOGITS), second_labels=AWAY_LABELS
    )
    assert result.loss == expected
    assert result.num_development == 120


def test_an_intercept_of_the_new_hospital_repairs_a_shift(result: PairResult) -> None:
    before, after = result.away, result.recalibrated
    assert before is not None
    assert after is not None
    assert before.calibration.in_the_large.high < -0.5
    assert abs(after.calibration.in_the_large.value) < 1e-6
    assert after.auc == before.auc
    assert after.calibration_error < before.calibration_error
    # The probabilities were too high, and the threshold stays.
    assert after.sensitivity.value < before.sensitivity.value
    assert after.specificity.value > before.specificity.value


def test_folds_are_judged_at_their_own_thresholds(result: PairResult) -> None:
    sensitivity = result.away_folds["sensitivity"]
    assert sensitivity is not None
    called = expit(AWAY_LOGITS[AWAY_LABELS == 1])
    assert sensitivity.mean == pytest.approx(((called >= 0.4).mean() + (called >= 0.6).mean()) / 2)


def test_the_hospitals_own_model_stands_beside_the_visitor_on_the_same_cases(
    visitors: Participants, fold: Callable[..., FoldOutcome]
) -> None:
    labels = AWAY_LABELS[:60]
    own = [fold(1, ([0.5], [1]), (expit(AWAY_LOGITS[:60]), labels))]
    found = local_comparison(own, visitors, PAIR, [expit(-AWAY_LOGITS)])
    assert found is not None
    assert found.num_cases == 60
    difference = found.own_minus_visitor
    assert difference.second_auc == pytest.approx(1 - difference.first_auc)


def test_a_handful_of_cases_is_not_compared(visitors: Participants, fold: Callable[..., FoldOutcome]) -> None:
    few = ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0, 0, 0, 0, 1, 1])
    found = pair_result(PAIR, lock(0.3), [fold(1, few, few)], visitors, [expit(AWAY_LOGITS)], seed=1)
    assert found.home is not None
    assert found.loss is None
    assert "No home test cohort is large enough" in findings([found], [])[0]
    small = Participants(visitors.flow, visitors.rows[6:], visitors.rows[:6], visitors.rows)
    assert local_comparison([fold(1, few, few)], small, PAIR, [expit(AWAY_LOGITS)]) is None


def test_a_perfect_home_test_is_not_compared(visitors: Participants, fold: Callable[..., FoldOutcome]) -> None:
    """DeLong's variance of it is none, and the loss would have the other hospital's alone."""
    perfect = (np.linspace(0.1, 0.9, 20).tolist(), [0] * 10 + [1] * 10)
    found = pair_result(PAIR, lock(0.5), [fold(1, perfect, perfect)], visitors, [expit(AWAY_LOGITS)], seed=1)
    assert found.home is not None
    assert found.home.auc.has_no_width
    assert found.loss is None
    assert "all pairs of cases rank alike" in findings([found], [])[1]


def test_tables_have_every_column_and_the_papers_own_numbers(result: PairResult, visitors: Participants) -> None:
    made = tables([result], [], {PAIR: (visitors, visitors)}, {("ucla", "fpe"): 0.88})
    by_id = {table.id: table for table in made}
    assert "own-model" not in by_id
    for table in made:
        assert all(len(row.entries) == len(table.columns) for row in table.rows), table.id
    cross_validation, home, away, *_, reachable_home, reachable_away = by_id["travel"].rows[0].entries
    assert cross_validation.paper == ".7801 (.0320)"
    assert home.paper == ".8051 (.0377)"
    assert away.paper == ""
    assert (reachable_home.here, reachable_away.here) == ("0.880", "")
    at_home, abroad, recalibrated = by_id["operating-point"].rows
    assert at_home.entries[1].paper == ".8615 (.1131)"
    assert [entry.paper for entry in (*abroad.entries, *recalibrated.entries)] == [""] * 8
    assert by_id["cases"].rows[0].entries[2].here == f"{AWAY_LABELS.sum()} / 300"


def test_findings_say_what_is_lost_and_how_the_probabilities_stand(result: PairResult) -> None:
    overall, travel, calibration = findings([result], [])
    assert overall.startswith("Away from home, 1 of 1 locked models")
    assert "trained at UCLA on 120 cases" in travel
    assert "on 300 cases of Vall d'Hebron" in travel
    assert "too high away from home" in calibration
    found = numbers([result], [])
    assert found["ucla-to-vdh-fpe.loss_low"] < found["ucla-to-vdh-fpe.loss"] < found["ucla-to-vdh-fpe.loss_high"]
    assert findings([], []) == ("No direction had enough cases of both classes to be judged.",)


def test_figures_are_drawn_of_what_was_judged(result: PairResult, tmp_path: Path) -> None:
    made = draw_figures(result, tmp_path)
    assert [figure.id.partition("-ucla")[0] for figure in made] == ["roc", "calibration", "decision"]
    assert {path.suffix for path in tmp_path.iterdir()} == {".svg", ".png"}
    roc = (tmp_path / "roc-ucla-to-vdh-fpe.svg").read_text()
    assert "Vall d'Hebron (away)" in roc
    assert "300 cases" in roc
