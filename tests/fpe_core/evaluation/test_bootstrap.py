from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.bootstrap import bootstrap_auc_interval
from fpe_core.evaluation.delong import delong_interval


def test_agrees_with_scipys_bootstrap(drawn_cases: Callable) -> None:
    p, labels = drawn_cases(1, 60, digits=1)
    classes = (p[labels == 1], p[labels == 0])

    def auc(positive: np.ndarray, negative: np.ndarray) -> float:
        return float(roc_auc_score([1] * len(positive) + [0] * len(negative), [*positive, *negative]))

    # Two samples are drawn apart, as our classes are.
    ours = bootstrap_auc_interval(p, labels, seed=3, num_resamples=20000)
    theirs = bootstrap(classes, auc, vectorized=False, n_resamples=1500, method="percentile", rng=5).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.012)
    assert ours.auc == pytest.approx(auc(*classes))


def test_agrees_with_delong_for_many_cases(drawn_cases: Callable) -> None:
    p, labels = drawn_cases(2, 1500)
    ours, delong = bootstrap_auc_interval(p, labels, seed=1), delong_interval(p, labels)
    assert (ours.low, ours.high) == pytest.approx((delong.low, delong.high), abs=0.003)


def test_every_resample_of_two_by_two_cases_by_hand() -> None:
    """Positive .9 .3, negative .5 .1: a resample's AUC is 1 − (share of .3) · (share of .5), so 16 equal chances."""
    chances = {0.0: 1, 0.5: 4, 0.75: 4, 1.0: 7}  # of 16: shares (1,1); (½,1) (1,½); (½,½); a share of 0
    aucs = np.repeat(list(chances), list(chances.values()))
    for level in (0.2, 0.7, 0.95):
        interval = bootstrap_auc_interval([0.9, 0.3, 0.5, 0.1], [1, 1, 0, 0], seed=1, num_resamples=40000, level=level)
        expected = [np.quantile(aucs, q, method="inverted_cdf") for q in (0.5 - level / 2, 0.5 + level / 2)]
        assert [interval.low, interval.high] == pytest.approx(expected)


def test_same_seed_same_interval_other_seed_another(drawn_cases: Callable) -> None:
    p, labels = drawn_cases(3, 40)
    assert bootstrap_auc_interval(p, labels, seed=1) == bootstrap_auc_interval(p, labels, seed=1)
    assert bootstrap_auc_interval(p, labels, seed=1) != bootstrap_auc_interval(p, labels, seed=2)


def test_working_in_parts_changes_nothing_but_the_draws(monkeypatch: pytest.MonkeyPatch, drawn_cases: Callable) -> None:
    p, labels = drawn_cases(4, 200)
    whole = bootstrap_auc_interval(p, labels, seed=1, num_resamples=4001)
    monkeypatch.setattr("fpe_core.evaluation.bootstrap._COUNTS_AT_ONCE", 1000 * 200)
    parts = bootstrap_auc_interval(p, labels, seed=1, num_resamples=4001)
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high), abs=0.01)


def test_classes_apart_and_bad_input() -> None:
    apart = bootstrap_auc_interval([0.9, 0.8, 0.1], [1, 1, 0], seed=1)
    assert (apart.auc, apart.low, apart.high) == (1.0, 1.0, 1.0)
    with pytest.raises(NotEnoughCases, match="both classes"):
        bootstrap_auc_interval([0.9, 0.8], [1, 1], seed=1)
    with pytest.raises(ValueError, match="num_resamples should be at least 1"):
        bootstrap_auc_interval([0.9, 0.8], [1, 0], seed=1, num_resamples=0)
