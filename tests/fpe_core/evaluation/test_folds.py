from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from fpe_core.evaluation.discrimination import prediction_scores
from fpe_core.evaluation.folds import (
    MeanSd,
    fold_difference,
    format_mean_sd,
    mean_sd,
    student_half_width,
    summarise_folds,
)
from fpe_core.evaluation.thresholds import Threshold


def test_mean_and_sd_by_hand() -> None:
    assert mean_sd([2.0, 4.0, 9.0]) == MeanSd(5.0, pytest.approx(13**0.5), 3)


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_students_interval_is_scipys(level: float) -> None:
    values = np.array([2.0, 4.0, 9.0, 1.0])
    low, high = stats.t.interval(level, 3, loc=values.mean(), scale=stats.sem(values))
    half = student_half_width(float(values.std(ddof=1)), 4, level=level)
    assert (values.mean() - half, values.mean() + half) == (pytest.approx(low), pytest.approx(high))


def test_a_difference_over_folds_by_hand() -> None:
    """Differences .1, .2, .3: mean .2, standard error .1/√3, t(2) at 97.5 % is 4.302653."""
    found = fold_difference(first=[0.6, 0.8, 0.9], second=[0.5, 0.6, 0.6])
    reach = 0.1 * 4.302652729911275 / 3**0.5
    assert (found.mean, found.low, found.high) == pytest.approx((0.2, 0.2 - reach, 0.2 + reach))
    # p of |t| = 2 √3 with 2 degrees of freedom: 1 - t / √(2 + t²).
    assert found.p_value == pytest.approx(1 - 12**0.5 / 14**0.5)


def test_a_difference_over_folds_is_the_paired_t_test() -> None:
    first, second = (0.81, 0.77, 0.9, 0.68, 0.85), (0.7, 0.79, 0.8, 0.61, 0.83)
    expected, found = stats.ttest_rel(first, second), fold_difference(first=first, second=second)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high, found.p_value) == pytest.approx((interval.low, interval.high, expected.pvalue))


@pytest.mark.parametrize("first", [(0.75, 0.5), (0.8, 0.55)])
def test_folds_that_all_differ_by_the_same_are_no_certainty(first: tuple[float, float]) -> None:
    found = fold_difference(first=first, second=(0.5, 0.25))
    assert found.mean == pytest.approx(first[0] - 0.5)
    assert (found.low, found.high, found.p_value) == (-1, 1, None)


def test_two_folds_that_disagree_leave_all_there_is() -> None:
    # t with one degree of freedom is 12.7.
    found = fold_difference(first=[1.0, 0.5], second=[0.5, 0.5])
    assert (found.mean, found.low, found.high) == (0.25, -1, 1)


@pytest.mark.parametrize(("first", "second"), [([0.5], [0.4]), ([0.5, 0.6], [0.4, 0.4, 0.4])])
def test_a_difference_needs_the_same_folds(first: list[float], second: list[float]) -> None:
    with pytest.raises(ValueError, match="two or more folds"):
        fold_difference(first=first, second=second)


def test_every_score_over_folds(drawn_cases: Callable) -> None:
    folds = [prediction_scores(*drawn_cases(seed, 40), threshold=Threshold(0.5, 0.0)) for seed in range(5)]
    summary = summarise_folds(folds)
    assert "num_cases" not in summary
    assert set(summary) == set(vars(folds[0])) - {"num_cases", "num_positive"}
    for name, value in summary.items():
        values = [getattr(fold, name) for fold in folds]
        assert value == MeanSd(pytest.approx(np.mean(values)), pytest.approx(np.std(values, ddof=1)), 5)
    assert summarise_folds(folds[::-1])["auc"] == summary["auc"]


def test_folds_without_a_precision_are_left_out_of_its_mean(drawn_cases: Callable) -> None:
    fold = prediction_scores(*drawn_cases(0, 40), threshold=Threshold(0.5, 0.0))
    silent = replace(fold, precision=None)
    assert summarise_folds([fold, silent])["precision"] == MeanSd(fold.precision, None, 1)
    assert summarise_folds([silent, silent])["precision"] is None


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (MeanSd(0.7505, 0.0438, 5), 4, ".7505 (.0438)"),
        (MeanSd(0.64, 0.02, 4), 2, ".64 (.02)"),
        (MeanSd(1.0, 0.0, 4), 2, "1.00 (.00)"),
        (MeanSd(0.99999, 0.1, 4), 4, "1.0000 (.1000)"),
        (MeanSd(-0.05, 0.1, 4), 2, "-.05 (.10)"),
        (MeanSd(10.04, 0.1, 4), 1, "10.0 (.1)"),
        (MeanSd(0.8, None, 1), 4, ".8000"),
    ],
)
def test_printed_as_the_journals_do(value: MeanSd, digits: int, text: str) -> None:
    assert format_mean_sd(value, digits=digits) == text


def test_no_fold_and_no_number() -> None:
    with pytest.raises(ValueError, match="at least one fold"):
        summarise_folds([])
    for values in ([], [0.5, float("nan")]):
        with pytest.raises(ValueError, match="need finite values"):
            mean_sd(values)
