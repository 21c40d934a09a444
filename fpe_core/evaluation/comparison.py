"""Whether two AUCs differ: DeLong's test for models on the same cases, on different ones, and for groups of models."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.cases import Cases, cases_of_both_classes
from fpe_core.evaluation.delong import correlated_aucs


@dataclass(frozen=True)
class AucComparison:
    """Two AUCs and their difference, first − second.

    Attributes:
        first_auc: in [0, 1].
        second_auc: in [0, 1].
        difference: in [−1, 1].
        low: lower end of the difference's confidence interval.
        high: upper end.
        z: difference / standard error; None where the standard error is 0.
        p_value: two-sided, standard normal; None together with `z`: both models rank all pairs of cases alike, or
            each separates the classes without a slip, and nothing varies that a test could go by.
    """

    first_auc: float
    second_auc: float
    difference: float
    low: float
    high: float
    z: float | None
    p_value: float | None


def compare_paired_aucs(
    *, first: ArrayLike, second: ArrayLike, labels: ArrayLike, level: float = 0.95
) -> AucComparison:
    """DeLong's test of two models on the same cases (DeLong et al., Biometrics 1988).

    Args:
        first: `(N,)` float in [0, 1], the first model's probabilities.
        second: `(N,)`, the second model's, of the same cases in the same order.
        labels: `(N,)` 0 or 1.
        level: coverage of the interval, in (0, 1).

    Raises:
        NotEnoughCases: a class has fewer than two cases.
    """
    return compare_mean_aucs([PairedModels([first], [second], labels)], level=level)


@dataclass(frozen=True, eq=False)
class PairedModels:
    """Models in pairs on one set of cases: the k-th of `first` against the k-th of `second`.

    Attributes:
        first: K arrays `(N,)` float in [0, 1].
        second: K arrays `(N,)`, of the same cases in the same order.
        labels: `(N,)` 0 or 1.
    """

    first: Sequence[ArrayLike]
    second: Sequence[ArrayLike]
    labels: ArrayLike


def compare_mean_aucs(sets: Sequence[PairedModels], *, level: float = 0.95) -> AucComparison:
    """DeLong's test of the mean AUC of many models against that of as many others.

    Within a set all models share the cases, and their covariances count; sets have no case in common, for example the
    validation cases of different folds, and each weighs the same. More cases in a set and more sets narrow the
    interval; more models that say the same do not.

    Args:
        sets: at least one.
        level: coverage of the interval, in (0, 1).

    Raises:
        NotEnoughCases: a class has fewer than two cases in one of the sets.
    """
    found = [_mean_aucs(one) for one in sets]
    first, second, variance = (float(np.mean(values)) for values in zip(*found, strict=True))
    return _compared(first, second, variance=variance / len(sets), level=level)


def _mean_aucs(models: PairedModels) -> tuple[float, float, float]:
    """Mean AUC of the first and of the second models, and the variance of their difference."""
    cases = [_testable(probabilities, models.labels) for probabilities in (*models.first, *models.second)]
    result = correlated_aucs([one.probabilities for one in cases], cases[0].labels)
    pairs = len(models.first)
    contrast = np.repeat([1.0, -1.0], [pairs, len(models.second)]) / pairs
    variance = float(contrast @ result.covariance @ contrast)
    return float(result.aucs[:pairs].mean()), float(result.aucs[pairs:].mean()), variance


def compare_unpaired_aucs(
    *,
    first: ArrayLike,
    first_labels: ArrayLike,
    second: ArrayLike,
    second_labels: ArrayLike,
    level: float = 0.95,
) -> AucComparison:
    """The test of two AUCs that have no case in common: their DeLong variances add up.

    Args:
        first: `(N,)` float in [0, 1].
        first_labels: `(N,)` 0 or 1.
        second: `(M,)` float in [0, 1].
        second_labels: `(M,)` 0 or 1.
        level: coverage of the interval, in (0, 1).

    Raises:
        NotEnoughCases: a class has fewer than two cases in one of the sets.
    """
    results = [
        correlated_aucs([cases.probabilities], cases.labels)
        for cases in (_testable(first, first_labels), _testable(second, second_labels))
    ]
    variance = sum(float(result.covariance[0, 0]) for result in results)
    return _compared(*(float(result.aucs[0]) for result in results), variance=variance, level=level)


def _testable(probabilities: ArrayLike, labels: ArrayLike) -> Cases:
    cases = cases_of_both_classes(probabilities, labels)
    if min(cases.num_positive, cases.num_negative) < 2:
        raise NotEnoughCases(
            f"a test needs two cases of each class, got {cases.num_positive} positive, {cases.num_negative} negative"
        )
    return cases


def _compared(first: float, second: float, *, variance: float, level: float) -> AucComparison:
    difference, normal = float(first - second), NormalDist()
    error = float(np.sqrt(variance)) if variance > 0 else 0.0
    reach = normal.inv_cdf(0.5 + level / 2) * error
    z = difference / error if error else None
    p_value = None if z is None else 2 * normal.cdf(-abs(z))
    low, high = max(difference - reach, -1.0), min(difference + reach, 1.0)
    return AucComparison(float(first), float(second), difference, low, high, z, p_value)
