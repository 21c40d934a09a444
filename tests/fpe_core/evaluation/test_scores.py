import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.scores import (
    SCORE_EDGES,
    auc_from_counts,
    auc_interval,
    count_scores,
    pool_counts,
    quantise,
    roc_curve,
)
from fpe_core.protocol import NUM_SCORE_BINS

probability = st.floats(0, 1)
few_values = st.sampled_from([0.0, 0.2, 0.4975, 0.5, 0.5025, 0.8, 1.0])
one_class = st.lists(probability | few_values, min_size=1, max_size=25)
fast = settings(deadline=None, max_examples=60)


def counts(positive: list[float], negative: list[float]) -> dict[str, tuple[int, ...]]:
    pos, neg = count_scores(positive + negative, [1] * len(positive) + [0] * len(negative))
    return {"positive": pos, "negative": neg}


def delong_variance(positive: np.ndarray, negative: np.ndarray) -> float:
    """Straight from the paper: structural components by comparing every pair."""
    kernel = np.array([[1.0 if x > y else 0.5 if x == y else 0.0 for y in negative] for x in positive])
    return float(np.var(kernel.mean(1), ddof=1) / len(positive) + np.var(kernel.mean(0), ddof=1) / len(negative))


def test_bins_are_closed_below_and_one_belongs_to_the_last() -> None:
    assert quantise([0.0, SCORE_EDGES[1], np.nextafter(SCORE_EDGES[1], 0), 0.5, 1.0]).tolist() == [0, 1, 0, 250, 499]


def test_edges_rise_from_zero_to_one_and_treat_both_classes_alike() -> None:
    assert SCORE_EDGES[0] == 0
    assert SCORE_EDGES[-1] == 1
    assert (np.diff(SCORE_EDGES) > 0).all()
    np.testing.assert_allclose(SCORE_EDGES, 1 - SCORE_EDGES[::-1], atol=1e-12)


@pytest.mark.parametrize("scale", [0.01, 0.1, 1.0, 5.0])
def test_binning_costs_no_rank_worth_speaking_of_at_any_scale_of_the_logits(scale: float) -> None:
    draw = np.random.default_rng(3)
    labels = np.arange(400) % 2
    probabilities = 1 / (1 + np.exp(-scale * (draw.standard_normal(400) + labels)))
    positive, negative = count_scores(probabilities, labels)
    exact = roc_auc_score(labels, probabilities)
    assert auc_from_counts(positive=positive, negative=negative) == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize("wrong", [-0.001, 1.001, float("nan"), float("inf")])
def test_what_is_no_probability_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantise([0.5, wrong])


def test_counts_are_apart_by_class() -> None:
    positive, negative = count_scores([0.0, 0.0, 0.5, 1.0], [1, 0, 1, 0])
    assert len(positive) == len(negative) == NUM_SCORE_BINS
    assert {i: n for i, n in enumerate(positive) if n} == {0: 1, 250: 1}
    assert {i: n for i, n in enumerate(negative) if n} == {0: 1, 499: 1}


@pytest.mark.parametrize("labels", [[1], [1, 2], [[1, 0]]])
def test_labels_that_do_not_fit_are_refused(labels: list[int]) -> None:
    with pytest.raises(ValueError, match="labels should be 0 or 1"):
        count_scores([0.1, 0.2], labels)


@fast
@given(one_class, one_class)
def test_auc_of_counts_is_that_of_the_binned_scores(positive: list[float], negative: list[float]) -> None:
    expected = roc_auc_score([1] * len(positive) + [0] * len(negative), quantise(positive + negative))
    assert auc_from_counts(**counts(positive, negative)) == pytest.approx(expected, abs=1e-12)


@fast
@given(one_class, one_class)
def test_area_under_the_curve_is_the_auc(positive: list[float], negative: list[float]) -> None:
    both = counts(positive, negative)
    curve = roc_curve(**both)
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert area == pytest.approx(auc_from_counts(**both), abs=1e-12)


def test_points_of_the_curve_by_hand() -> None:
    curve = roc_curve(**counts([0.9, 0.6], [0.7, 0.1]))
    points = list(zip(*vars(curve).values(), strict=True))

    def at(threshold: float) -> tuple[float, float]:
        return next((f, t) for edge, f, t in points if edge <= threshold)

    assert at(1.0) == (0, 0)
    assert at(0.8) == (0, 0.5)
    assert at(0.65) == (0.5, 0.5)
    assert at(0.5) == (0.5, 1)
    assert at(0.0) == (1, 1)


@fast
@given(st.lists(st.tuples(one_class, one_class), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_order_of_sites_and_splitting_one_changes_nothing(sites: list, random: object) -> None:
    apart = [counts(positive, negative) for positive, negative in sites]
    together = counts([p for s in sites for p in s[0]], [p for s in sites for p in s[1]])
    random.shuffle(apart)
    pooled = {label: pool_counts(site[label] for site in apart) for label in ("positive", "negative")}
    assert {label: tuple(n.tolist()) for label, n in pooled.items()} == together
    assert auc_interval(**pooled) == auc_interval(**together)


def test_pooling_no_site_gives_no_case() -> None:
    assert pool_counts([]).sum() == 0


@pytest.mark.parametrize("wrong", [[1, 2, 3], [-1] + [0] * (NUM_SCORE_BINS - 1)])
def test_counts_that_are_none_are_refused(wrong: list[int]) -> None:
    with pytest.raises(ValueError, match="500 numbers from 0"):
        pool_counts([wrong])


@fast
@given(st.lists(probability | few_values, min_size=5, max_size=15), st.lists(probability, min_size=5, max_size=15))
def test_interval_is_delongs(positive: list[float], negative: list[float]) -> None:
    reach = 1.959963984540054 * delong_variance(quantise(positive), quantise(negative)) ** 0.5
    interval = auc_interval(**counts(positive, negative))
    assert interval.low == pytest.approx(max(interval.auc - reach, 0), abs=1e-9)
    assert interval.high == pytest.approx(min(interval.auc + reach, 1), abs=1e-9)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    # Scores uniform on [0, 1] against the larger of two: P(positive > negative) = 2/3.
    generator = np.random.default_rng(5)
    hits = 0
    for _ in range(400):
        positive = generator.random((60, 2)).max(axis=1)
        interval = auc_interval(**counts(positive.tolist(), generator.random(60).tolist()))
        hits += interval.low <= 2 / 3 <= interval.high
    assert 0.92 <= hits / 400 <= 0.98


def test_a_higher_level_is_wider() -> None:
    both = counts([0.9, 0.6, 0.4, 0.5, 0.2], [0.7, 0.1, 0.3, 0.4, 0.2])
    narrow, wide = auc_interval(**both, level=0.5), auc_interval(**both, level=0.9)
    assert wide.low < narrow.low < narrow.auc < narrow.high


@pytest.mark.parametrize(("few", "many"), [(1, 8), (4, 8), (4, 4)])
def test_four_cases_of_a_class_tell_nothing_about_variance(few: int, many: int) -> None:
    interval = auc_interval(**counts([0.9] * few, [0.1] * many))
    assert (interval.auc, interval.low, interval.high) == (1.0, 0.0, 1.0)


def test_swapping_the_classes_mirrors_everything() -> None:
    for positive, negative in product([[0.2, 0.8], [0.5, 0.5, 0.9]], [[0.1, 0.6], [0.5, 0.3]]):
        straight, swapped = counts(positive, negative), counts(negative, positive)
        assert auc_from_counts(**straight) == pytest.approx(1 - auc_from_counts(**swapped))


@pytest.mark.parametrize(("positive", "negative"), [([], [0.5]), ([0.5], [])])
def test_a_class_without_cases_is_refused(positive: list[float], negative: list[float]) -> None:
    for measure in (auc_from_counts, auc_interval, roc_curve):
        with pytest.raises(NotEnoughCases, match="both classes"):
            measure(**counts(positive, negative))


def test_needs_neither_torch_nor_scikit_learn() -> None:
    code = "import sys, fpe_core.evaluation.scores; sys.exit(bool({'torch', 'sklearn', 'scipy'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
