import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.metrics import rates_at, roc_auc, youden_threshold
from fpe_core.evaluation.scores import SCORE_EDGES, count_scores, quantise

score = st.floats(0, 1) | st.sampled_from([0.25, 0.5, 0.75])
one_class = st.lists(score, min_size=1, max_size=25)
fast = settings(deadline=None, max_examples=60)


def counts(positive: list[float], negative: list[float]) -> dict[str, tuple[int, ...]]:
    pos, neg = count_scores(positive + negative, [1] * len(positive) + [0] * len(negative))
    return {"positive": pos, "negative": neg}


@fast
@given(one_class, one_class)
def test_exact_auc_is_scikit_learns(positive: list[float], negative: list[float]) -> None:
    labels = [1] * len(positive) + [0] * len(negative)
    assert roc_auc(positive + negative, labels) == pytest.approx(roc_auc_score(labels, positive + negative), abs=1e-12)


def test_auc_by_hand() -> None:
    # Pairs: .8 > .3, .8 > .6, .6 > .3, .6 = .6.
    assert roc_auc([0.8, 0.3, 0.6, 0.6], [1, 0, 1, 0]) == 3.5 / 4


def test_auc_sees_differences_that_bins_do_not() -> None:
    probabilities, labels = [0.50001, 0.50002], [0, 1]
    assert quantise(probabilities).tolist() == [250, 250]
    assert roc_auc(probabilities, labels) == 1.0


@pytest.mark.parametrize("labels", [[1, 1], [0, 0]])
def test_one_class_has_no_auc(labels: list[int]) -> None:
    with pytest.raises(NotEnoughCases, match="both classes"):
        roc_auc([0.1, 0.2], labels)


@pytest.mark.parametrize(("scores", "labels"), [([0.1], [0, 1]), ([0.1, float("nan")], [0, 1]), ([0.1, 0.2], [0, 2])])
def test_scores_and_labels_that_do_not_fit_are_refused(scores: list[float], labels: list[int]) -> None:
    with pytest.raises(ValueError, match="AUC needs finite scores"):
        roc_auc(scores, labels)


def test_youden_takes_the_middle_of_equally_good_thresholds() -> None:
    # Between the bins of .2 and .8 the classes are apart at every edge, and the edges lie evenly around one half.
    assert youden_threshold(**counts([0.8, 0.9], [0.1, 0.2])) == pytest.approx(0.5, abs=0.001)


@fast
@given(one_class, one_class)
def test_no_threshold_beats_youdens(positive: list[float], negative: list[float]) -> None:
    both = counts(positive, negative)
    best = rates_at(youden_threshold(**both), **both)
    p, n = quantise(positive), quantise(negative)
    gains = [(p >= edge).mean() - (n >= edge).mean() for edge in range(501)]
    assert best.sensitivity + best.specificity - 1 == pytest.approx(max(gains), abs=1e-12)


@fast
@given(one_class, one_class, st.integers(0, 500))
def test_rates_are_those_of_the_binned_scores(positive: list[float], negative: list[float], edge: int) -> None:
    rates = rates_at(float(SCORE_EDGES[edge]), **counts(positive, negative))
    hits, passes = quantise(positive) >= edge, quantise(negative) < edge
    assert rates.sensitivity == pytest.approx(hits.mean())
    assert rates.specificity == pytest.approx(passes.mean())
    assert rates.accuracy == pytest.approx(np.concatenate([hits, passes]).mean())


@pytest.mark.parametrize("threshold", [-0.005, 1.005, 0.4321])
def test_a_threshold_inside_a_bin_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="one of SCORE_EDGES"):
        rates_at(threshold, **counts([0.9], [0.1]))
