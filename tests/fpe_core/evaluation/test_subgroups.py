from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import recall_score, roc_auc_score

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.delong import delong_interval
from fpe_core.evaluation.shares import share_of
from fpe_core.evaluation.subgroups import detection_by_cause, subgroup_table
from fpe_core.evaluation.thresholds import Threshold

HALF = Threshold(0.5, 0.0)


def test_rows_are_the_scores_of_their_cases(drawn_cases: Callable) -> None:
    p, labels = drawn_cases(1, 120)
    sex = np.where(np.arange(120) % 3 == 0, "female", "male")
    rows = subgroup_table(p, labels, sex.tolist(), threshold=HALF, min_cases_per_class=5)
    assert [row.group for row in rows] == ["female", "male"]
    for row in rows:
        mine, y = p[sex == row.group], labels[sex == row.group]
        scores = row.scores
        assert scores is not None
        assert row.held_back is None
        assert (scores.num_cases, scores.num_positive) == (len(y), y.sum())
        assert scores.auc == delong_interval(mine, y)
        assert scores.auc.auc == pytest.approx(roc_auc_score(y, mine))
        assert scores.sensitivity.value == pytest.approx(recall_score(y, mine >= 0.5))
        assert scores.specificity.value == pytest.approx(recall_score(1 - y, mine < 0.5))


def test_order_of_cases_changes_nothing(drawn_cases: Callable) -> None:
    p, labels = drawn_cases(2, 90)
    groups = np.array(["a", "b", "c"])[np.arange(90) % 3]
    order = np.random.default_rng(1).permutation(90)
    straight = subgroup_table(p, labels, groups.tolist(), threshold=HALF, min_cases_per_class=2)
    shuffled = subgroup_table(p[order], labels[order], groups[order].tolist(), threshold=HALF, min_cases_per_class=2)
    for one, other in zip(straight, shuffled, strict=True):
        assert one.scores is not None
        assert other.scores is not None
        assert one.scores.sensitivity == other.scores.sensitivity
        assert one.scores.auc.low == pytest.approx(other.scores.auc.low)


def test_a_small_group_and_one_to_hide_it_say_the_same_and_nothing_more() -> None:
    groups = [*["old"] * 40, *["young"] * 24, *["child"] * 3, None, *["old"] * 12]
    labels = np.arange(len(groups)) % 2
    rows = subgroup_table(np.full(len(groups), 0.5), labels, groups, threshold=HALF, min_cases_per_class=5)
    shown = {row.group: row.scores is not None for row in rows}
    assert shown == {"child": False, "old": True, "unknown": False, "young": False}
    assert len({row.held_back for row in rows if row.scores is None}) == 1
    assert "fewer than 5 cases of a class, or" in str(rows[0].held_back)


def test_detection_by_cause_looks_at_positive_cases_only() -> None:
    labels = [1] * 14 + [0] * 6
    causes = [*["ICAD"] * 6, *["other"] * 8, *["ICAD"] * 6]
    called = [1, 1, 1, 1, 0, 0, *[1] * 5, *[0] * 3, *[1] * 6]
    rows = detection_by_cause(called, labels, causes, min_cases=5)
    assert [(row.cause, row.detected) for row in rows] == [("ICAD", share_of(4, 6)), ("other", share_of(5, 8))]


def test_a_rare_cause_is_held_back_with_another() -> None:
    rows = detection_by_cause([1] * 20, [1] * 20, [*["ICAD"] * 10, *["other"] * 8, *["dissection"] * 2], min_cases=5)
    assert {row.cause: row.detected is None for row in rows} == {"ICAD": False, "dissection": True, "other": True}


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="groups should be as many as the cases, 2, got 1"):
        subgroup_table([0.1, 0.2], [0, 1], ["a"], threshold=HALF, min_cases_per_class=5)
    with pytest.raises(ValueError, match="at least 2, got 1"):
        subgroup_table([0.1, 0.2], [0, 1], ["a", "a"], threshold=HALF, min_cases_per_class=1)
    with pytest.raises(NotEnoughCases, match="both classes"):
        subgroup_table([0.1, 0.2], [1, 1], ["a", "a"], threshold=HALF, min_cases_per_class=5)
    with pytest.raises(ValueError, match="as many calls and causes as labels 2"):
        detection_by_cause([1, 0], [1, 1], ["a"], min_cases=5)
