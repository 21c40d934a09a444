from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.comparison import (
    PairedModels,
    compare_mean_aucs,
    compare_paired_aucs,
    compare_unpaired_aucs,
)
from fpe_core.evaluation.delong import correlated_aucs, delong_interval
from fpe_core.evaluation.metrics import roc_auc


@pytest.mark.parametrize(
    ("measure", "difference", "low", "high", "chi_square", "p_value"),
    [("albumin", 0.0108, -0.1761, 0.1976, 0.0127, 0.9102), ("protein", -0.0780, -0.2830, 0.1271, 0.5554, 0.4561)],
)
def test_the_papers_own_example_as_sas_prints_it(
    measure: str,
    difference: float,
    low: float,
    high: float,
    chi_square: float,
    p_value: float,
    delong_1988: dict[str, np.ndarray],
) -> None:
    result = compare_paired_aucs(first=delong_1988[measure], second=delong_1988["kg"], labels=delong_1988["labels"])
    assert (result.difference, result.low, result.high) == pytest.approx((difference, low, high), abs=6e-5)
    assert result.z is not None
    assert (result.z**2, result.p_value) == pytest.approx((chi_square, p_value), abs=6e-5)


def test_pairing_makes_like_models_easier_to_tell_apart(drawn_cases: Callable) -> None:
    p, labels = drawn_cases(1, 200)
    worse = np.clip(p + np.random.default_rng(2).normal(scale=0.1, size=200), 0, 1)
    paired = compare_paired_aucs(first=p, second=worse, labels=labels)
    apart = compare_unpaired_aucs(first=p, first_labels=labels, second=worse, second_labels=labels)
    assert paired.difference == apart.difference
    assert paired.p_value is not None
    assert apart.p_value is not None
    assert paired.p_value < apart.p_value


def test_unpaired_variances_add_up(drawn_cases: Callable) -> None:
    (p, y), (q, z) = drawn_cases(3, 90), drawn_cases(4, 140, separation=0.4)
    result = compare_unpaired_aucs(first=p, first_labels=y, second=q, second_labels=z)
    first, second = delong_interval(p, y), delong_interval(q, z)
    error = np.hypot(first.high - first.auc, second.high - second.auc) / norm.ppf(0.975)
    assert result.z == pytest.approx((first.auc - second.auc) / error)
    assert result.p_value == pytest.approx(2 * norm.sf(abs(result.z or 0)))
    assert result.high - result.difference == pytest.approx(norm.ppf(0.975) * error)


def test_a_mean_of_one_pair_is_the_paired_test(drawn_cases: Callable) -> None:
    (p, labels), q = drawn_cases(7, 80), drawn_cases(8, 80)[0]
    found = compare_mean_aucs([PairedModels([p], [q], labels)])
    assert found == compare_paired_aucs(first=p, second=q, labels=labels)
    delong = correlated_aucs([p, q], labels.astype(bool))
    variance = delong.covariance[0, 0] + delong.covariance[1, 1] - 2 * delong.covariance[0, 1]
    assert found.difference == pytest.approx(delong.aucs[0] - delong.aucs[1])
    assert found.high - found.difference == pytest.approx(norm.ppf(0.975) * np.sqrt(variance))


def test_the_same_pair_twice_says_no_more_than_once(drawn_cases: Callable) -> None:
    (p, labels), q = drawn_cases(7, 80), drawn_cases(8, 80)[0]
    once, twice = (compare_mean_aucs([PairedModels([p] * k, [q] * k, labels)]) for k in (1, 2))
    assert (twice.difference, twice.low, twice.high) == pytest.approx((once.difference, once.low, once.high))


def test_sets_without_a_common_case_narrow_the_interval(drawn_cases: Callable) -> None:
    (p, labels), q = drawn_cases(7, 80), drawn_cases(8, 80)[0]
    one, four = (compare_mean_aucs([PairedModels([p], [q], labels)] * k) for k in (1, 4))
    assert four.difference == pytest.approx(one.difference)
    assert four.high - four.difference == pytest.approx((one.high - one.difference) / 2)


def test_the_mean_test_is_wrong_as_often_as_the_level_says() -> None:
    rng, wrong, trials = np.random.default_rng(12), 0, 400
    for _ in range(trials):
        sets = []
        for _ in range(4):
            labels = np.arange(60) % 4 == 0
            signal = labels + rng.normal(size=60)
            models = [norm.cdf(signal + rng.normal(scale=0.7, size=60)) for _ in range(6)]
            sets.append(PairedModels(models[:3], models[3:], labels))
        result = compare_mean_aucs(sets)
        wrong += not result.low < 0 < result.high
    assert 0.02 < wrong / trials < 0.09


def test_swapping_the_models_turns_the_sign(drawn_cases: Callable) -> None:
    (p, labels), q = drawn_cases(5, 60), drawn_cases(6, 60)[0]
    one = compare_paired_aucs(first=p, second=q, labels=labels)
    other = compare_paired_aucs(first=q, second=p, labels=labels)
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low))
    assert one.p_value == pytest.approx(other.p_value)


def test_equal_models_are_called_different_as_often_as_the_level_says() -> None:
    draw, labels, called = np.random.default_rng(7), np.repeat([1, 0], [30, 60]), 0
    for _ in range(800):
        truth = draw.standard_normal(90) + labels
        first, second = (1 / (1 + np.exp(-truth - draw.standard_normal(90))) for _ in range(2))
        called += (compare_paired_aucs(first=first, second=second, labels=labels).p_value or 0) < 0.05
    assert 0.03 <= called / 800 <= 0.075


def test_nothing_to_go_by(drawn_cases: Callable) -> None:
    p, labels = drawn_cases(8, 40, digits=1)
    same = compare_paired_aucs(first=p, second=p**2, labels=labels)
    assert (same.difference, same.z, same.p_value) == (pytest.approx(0), None, None)
    apart = compare_unpaired_aucs(
        first=np.linspace(0, 1, 10),
        first_labels=np.arange(10) >= 5,
        second=np.linspace(0, 1, 10),
        second_labels=np.arange(10) < 5,
    )
    assert (apart.difference, apart.z, apart.p_value) == (1, None, None)


@pytest.mark.parametrize(("num_positive", "known"), [(1, False), (2, False), (4, False), (5, True)])
def test_a_difference_needs_five_cases_of_each_class(num_positive: int, known: bool) -> None:
    labels = np.arange(20) < num_positive
    first, second = np.random.default_rng(3).random((2, 20))
    paired = compare_paired_aucs(first=first, second=second, labels=labels)
    mirrored = compare_paired_aucs(first=first, second=second, labels=~labels)
    apart = compare_unpaired_aucs(first=first, first_labels=labels, second=second, second_labels=np.arange(20) < 10)
    assert paired.difference == roc_auc(first, labels) - roc_auc(second, labels)
    for found in (paired, mirrored, apart):
        assert ((found.low, found.high) != (-1, 1)) is known
        assert (found.p_value is not None) is known


def test_five_cases_may_lie_in_several_sets_of_at_least_two() -> None:
    rng = np.random.default_rng(4)

    def intervals(positives: list[int]) -> tuple[float, float]:
        sets = [PairedModels([rng.random(12)], [rng.random(12)], np.arange(12) < num) for num in positives]
        found = compare_mean_aucs(sets)
        return found.low, found.high

    assert intervals([2, 2]) == (-1, 1)
    assert intervals([5, 1]) == (-1, 1)
    assert intervals([3, 2]) != (-1, 1)


def test_a_class_without_cases_is_refused() -> None:
    with pytest.raises(NotEnoughCases, match="both classes"):
        compare_paired_aucs(first=[0.1, 0.2], second=[0.1, 0.2], labels=[0, 0])


def test_lengths_agree() -> None:
    with pytest.raises(ValueError, match="as many as the labels"):
        compare_paired_aucs(first=[0.1, 0.2, 0.3, 0.4], second=[0.1, 0.2], labels=[0, 0, 1, 1])
