"""What is said of an ensemble on one set of cases."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from fpe_core.evaluation.classification import Confusion
from fpe_sim.external_validation.scores import f1_interval, fold_scores, set_scores

RNG = np.random.default_rng(3)
LABELS = (RNG.random(200) < 0.3).astype(int)
P = np.clip(0.3 * LABELS + RNG.uniform(0.1, 0.6, 200), 0, 1)


def test_scores_are_those_of_the_locked_threshold() -> None:
    scores = set_scores(P, LABELS, threshold=0.45, seed=1)
    assert scores is not None
    called = P >= 0.45
    assert scores.f1.value == pytest.approx(f1_score(LABELS, called))
    assert scores.sensitivity.value == pytest.approx(called[LABELS == 1].mean())
    assert scores.specificity.value == pytest.approx((~called)[LABELS == 0].mean())
    assert scores.auc.auc == pytest.approx(roc_auc_score(LABELS, P))
    assert scores.auc.low < scores.auc.auc < scores.auc.high
    assert (scores.num_cases, scores.num_positive) == (200, LABELS.sum())
    assert sum(one.observed.total for one in scores.bins) == 200


@pytest.mark.parametrize("labels", [[0, 0, 0, 1], [1, 1, 1, 1], []])
def test_a_class_of_fewer_than_two_is_not_scored(labels: list[int]) -> None:
    assert set_scores(np.full(len(labels), 0.5), labels, threshold=0.5, seed=1) is None


def test_f1_interval_covers_what_resampling_the_cases_gives() -> None:
    called = P >= 0.45
    confusion = Confusion(
        int((called & (LABELS == 1)).sum()), int((called & (LABELS == 0)).sum()),
        int((~called & (LABELS == 0)).sum()), int((~called & (LABELS == 1)).sum()),
    )  # fmt: skip
    found = f1_interval(confusion, seed=2)
    rng = np.random.default_rng(11)
    drawn = [f1_score(LABELS[i], called[i]) for i in rng.integers(0, 200, size=(1000, 200))]
    assert [found.low, found.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.02)
    assert found == f1_interval(confusion, seed=2)


def test_f1_of_a_model_that_calls_nobody() -> None:
    found = f1_interval(Confusion(0, 0, 50, 5), seed=1)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_each_fold_is_judged_at_its_own_threshold() -> None:
    p, labels = [0.2, 0.4, 0.6, 0.8], [0, 1, 0, 1]
    found = fold_scores([(p, labels), (p, labels)], [0.3, 0.7])
    sensitivity = found["sensitivity"]
    assert sensitivity is not None
    assert sensitivity.mean == pytest.approx((1.0 + 0.5) / 2)
    assert fold_scores([(p[:1], labels[:1])], [0.5]) == {}
