from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.mean_roc import mean_roc


def test_is_the_vertical_average_of_the_folds(drawn_cases: Callable) -> None:
    folds = [drawn_cases(seed, 30 + 10 * seed, digits=2) for seed in range(4)]
    result = mean_roc(folds)
    for at in (0.1, 0.37, 0.8):
        heights = []
        for p, labels in folds:
            false_rate, true_rate, _ = roc_curve(labels, p)
            heights.append(np.interp(at + 1e-9, false_rate, true_rate))
        place = round(at * 100)
        assert result.false_positive_rate[place] == pytest.approx(at)
        assert result.true_positive_rate[place] == pytest.approx(np.mean(heights), abs=1e-6)
        spread = np.std(heights, ddof=1)
        assert result.low[place] == pytest.approx(np.mean(heights) - spread, abs=1e-6)
        assert result.high[place] == pytest.approx(min(np.mean(heights) + spread, 1), abs=1e-6)
    aucs = [roc_auc_score(labels, p) for p, labels in folds]
    assert (result.auc.mean, result.auc.sd) == pytest.approx((np.mean(aucs), np.std(aucs, ddof=1)))


def test_ends_are_anchored_and_the_band_holds_the_curve(drawn_cases: Callable) -> None:
    result = mean_roc([drawn_cases(seed, 20) for seed in range(5)])
    for line in (result.true_positive_rate, result.low, result.high):
        assert (line[0], line[-1]) == (0, 1)
        assert ((line >= 0) & (line <= 1)).all()
    assert (np.diff(result.true_positive_rate) >= -1e-12).all()
    assert (result.low <= result.true_positive_rate + 1e-12).all()
    assert (result.high >= result.true_positive_rate - 1e-12).all()
    assert (result.high - result.low).max() > 0.1


def test_a_perfect_and_a_useless_fold_by_hand() -> None:
    perfect, useless = ([0.9, 0.1], [1, 0]), ([0.5, 0.5], [1, 0])
    result = mean_roc([perfect, useless])
    np.testing.assert_allclose(result.true_positive_rate[1:], (1 + result.false_positive_rate[1:]) / 2)
    assert result.auc.mean == 0.75


def test_one_fold_has_no_band(drawn_cases: Callable) -> None:
    result = mean_roc([drawn_cases(1, 50)])
    np.testing.assert_array_equal(result.low, result.high)
    assert result.auc.sd is None


def test_area_under_the_mean_curve_is_about_the_mean_area(drawn_cases: Callable) -> None:
    result = mean_roc([drawn_cases(seed, 100) for seed in range(6)])
    area = np.trapezoid(result.true_positive_rate, result.false_positive_rate)
    assert result.auc.mean - 0.01 < area <= result.auc.mean + 1e-9


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="at least one fold"):
        mean_roc([])
    with pytest.raises(NotEnoughCases, match="both classes"):
        mean_roc([([0.1, 0.2], [0, 0])])
