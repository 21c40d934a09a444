from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.cases import binary_labels
from fpe_core.evaluation.delong import correlated_aucs, delong_interval
from fpe_core.evaluation.metrics import roc_auc
from fpe_core.evaluation.scores import SCORE_EDGES, auc_interval, count_scores, quantise

score = st.floats(0, 1) | st.sampled_from([0.25, 0.5, 0.75])
fast = settings(deadline=None, max_examples=60)


def kernel_covariance(models: list[np.ndarray], labels: np.ndarray) -> np.ndarray:
    """DeLong's covariance as the paper writes it: all pairs of a positive and a negative case."""
    v10, v01 = [], []
    for p in models:
        pairs = p[labels == 1][:, None] - p[labels == 0][None, :]
        psi = np.where(pairs > 0, 1.0, np.where(pairs == 0, 0.5, 0.0))
        v10.append(psi.mean(axis=1))
        v01.append(psi.mean(axis=0))
    covariance = np.zeros((len(models), len(models)))
    for part in (np.array(v10), np.array(v01)):
        centred = part - part.mean(axis=1, keepdims=True)
        covariance += centred @ centred.T / (part.shape[1] - 1) / part.shape[1]
    return covariance


@pytest.mark.parametrize(
    ("measure", "auc", "low", "high"),
    [("albumin", 0.7366, 0.5549, 0.9182), ("kg", 0.7258, 0.5243, 0.9273), ("protein", 0.6478, 0.4518, 0.8439)],
)
def test_the_papers_own_example_as_sas_prints_it(
    measure: str, auc: float, low: float, high: float, delong_1988: dict[str, np.ndarray]
) -> None:
    interval = delong_interval(delong_1988[measure], delong_1988["labels"])
    assert (interval.auc, interval.low, interval.high) == pytest.approx((auc, low, high), abs=5e-5)


@fast
@given(st.lists(score, min_size=5, max_size=20), st.lists(score, min_size=5, max_size=20))
def test_interval_is_that_of_all_pairs(positive: list[float], negative: list[float]) -> None:
    p, y = np.array(positive + negative), np.array([1] * len(positive) + [0] * len(negative))
    reach = 1.959963984540054 * kernel_covariance([p], y)[0, 0] ** 0.5
    interval = delong_interval(p, y)
    assert interval.auc == pytest.approx(roc_auc(p, y), abs=1e-12)
    assert interval.low == pytest.approx(max(interval.auc - reach, 0), abs=1e-7)
    assert interval.high == pytest.approx(min(interval.auc + reach, 1), abs=1e-7)


@pytest.mark.parametrize("digits", [1, 2, 12])
def test_covariance_of_three_models_is_that_of_all_pairs(digits: int, drawn_cases: Callable) -> None:
    first, labels = drawn_cases(1, 60, digits=digits)
    models = [first, np.round(np.sqrt(first * drawn_cases(2, 60)[0]), digits), drawn_cases(3, 60, digits=digits)[0]]
    result = correlated_aucs(models, binary_labels(labels))
    np.testing.assert_allclose(result.covariance, kernel_covariance(models, labels), atol=1e-14)
    np.testing.assert_allclose(result.aucs, [roc_auc(p, labels) for p in models], atol=1e-14)


def test_on_bin_edges_it_is_the_interval_of_counts(drawn_cases: Callable) -> None:
    p, labels = drawn_cases(4, 80)
    positive, negative = count_scores(p, labels)
    assert delong_interval(SCORE_EDGES[quantise(p)], labels).low == pytest.approx(
        auc_interval(positive=positive, negative=negative).low, abs=1e-12
    )


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    # Positive scores are the larger of two uniform ones, negative ones uniform: P(positive > negative) = 2/3.
    draw, labels, hits = np.random.default_rng(6), np.repeat([1, 0], [40, 80]), 0
    for _ in range(1000):
        p = np.concatenate([draw.random((40, 2)).max(axis=1), draw.random(80)])
        interval = delong_interval(p, labels)
        hits += interval.low <= 2 / 3 <= interval.high
    assert 0.93 <= hits / 1000 <= 0.97


def test_order_of_cases_and_monotone_curves_change_nothing_and_swapped_labels_mirror(drawn_cases: Callable) -> None:
    p, labels = drawn_cases(5, 50, digits=1)
    straight, order = delong_interval(p, labels), np.random.default_rng(0).permutation(50)
    for other in (delong_interval(p[order], labels[order]), delong_interval(p**3, labels)):
        assert (other.auc, other.low, other.high) == pytest.approx((straight.auc, straight.low, straight.high))
    swapped = delong_interval(p, 1 - labels)
    assert (1 - swapped.auc, 1 - swapped.high) == pytest.approx((straight.auc, straight.low))


def test_small_classes() -> None:
    few = delong_interval([0.9, 0.8, 0.7, 0.6, 0.1, 0.2, 0.3, 0.4, 0.5], [1] * 4 + [0] * 5)
    assert (few.auc, few.low, few.high) == (1.0, 0.0, 1.0)
    apart = delong_interval([0.9, 0.8, 0.7, 0.65, 0.6, 0.1, 0.2, 0.3, 0.4, 0.5], [1] * 5 + [0] * 5)
    assert (apart.auc, apart.low, apart.high) == (1.0, 1.0, 1.0)
    constant = delong_interval([0.5] * 10, [1] * 5 + [0] * 5)
    assert (constant.auc, constant.low, constant.high) == (0.5, 0.5, 0.5)
    with pytest.raises(NotEnoughCases, match="both classes"):
        delong_interval([0.9, 0.1], [1, 1])
