"""Whether two AUCs differ: DeLong's test for models on the same cases, on different ones, and for groups of models.

With fewer than `FEWEST_FOR_DELONG` cases of a class nothing is known of a difference, and its interval is all of
[−1, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fpe_core.evaluation.cases import Cases, FloatArray, cases_of_both_classes
from fpe_core.evaluation.delong import correlated_aucs
from fpe_core.evaluation.metrics import roc_auc
from fpe_core.evaluation.scores import FEWEST_FOR_DELONG

_UNKNOWN: Final = inf
"""Variance of a difference of which too few cases tell."""


@dataclass(frozen=True)
class AucComparison:
    """Two AUCs and their difference, first − second.

    Attributes:
        first_auc: in [0, 1].
        second_auc: in [0, 1].
        difference: in [−1, 1].
        low: lower end of the difference's confidence interval.
        high: upper end.
        z: difference / standard error; None where a test has nothing to go by: too few cases, or no standard error,
            because both models rank all pairs of cases alike or each separates the classes without a slip.
        p_value: two-sided, standard normal; None together with `z`.
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
        NotEnoughCases: a class has no case.
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
    interval; more models that say the same do not. A variance needs two cases of each class in every set, and
    `FEWEST_FOR_DELONG` in all sets together.

    Args:
        sets: at least one.
        level: coverage of the interval, in (0, 1).

    Raises:
        NotEnoughCases: a class has no case in one of the sets.
    """
    found = [_mean_aucs(one) for one in sets]
    first, second = float(np.mean([one.first for one in found])), float(np.mean([one.second for one in found]))
    fewest = min(sum(one.num_positive for one in found), sum(one.num_negative for one in found))
    variance = sum(one.variance for one in found) / len(found) ** 2 if fewest >= FEWEST_FOR_DELONG else _UNKNOWN
    return _compared(first, second, variance=variance, level=level)


class _MeanAucs(NamedTuple):
    """Mean AUC of a set's first and second models, the variance of their difference, and the set's cases."""

    first: float
    second: float
    variance: float
    num_positive: int
    num_negative: int


def _mean_aucs(models: PairedModels) -> _MeanAucs:
    first, second = (
        [cases_of_both_classes(one, models.labels) for one in group] for group in (models.first, models.second)
    )
    weights = np.repeat([1 / len(first), -1 / len(second)], [len(first), len(second)])
    return _MeanAucs(
        float(np.mean([roc_auc(*cases) for cases in first])),
        float(np.mean([roc_auc(*cases) for cases in second])),
        _contrast_variance([*first, *second], weights),
        first[0].num_positive,
        first[0].num_negative,
    )


def _contrast_variance(models: Sequence[Cases], weights: FloatArray) -> float:
    """Of the weighted sum of AUCs on the same cases."""
    if models[0].fewest_of_a_class < 2:
        return _UNKNOWN
    covariance = correlated_aucs([one.probabilities for one in models], models[0].labels).covariance
    return float(weights @ covariance @ weights)


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
        NotEnoughCases: a class has no case in one of the sets.
    """
    both = [cases_of_both_classes(first, first_labels), cases_of_both_classes(second, second_labels)]
    enough = min(cases.fewest_of_a_class for cases in both) >= FEWEST_FOR_DELONG
    variance = sum(_contrast_variance([cases], np.ones(1)) for cases in both) if enough else _UNKNOWN
    return _compared(*(roc_auc(*cases) for cases in both), variance=variance, level=level)


def _compared(first: float, second: float, *, variance: float, level: float) -> AucComparison:
    difference, normal = first - second, NormalDist()
    error = sqrt(max(variance, 0.0))
    reach = normal.inv_cdf(0.5 + level / 2) * error
    z = difference / error if 0 < error < _UNKNOWN else None
    p_value = None if z is None else 2 * normal.cdf(-abs(z))
    low, high = max(difference - reach, -1.0), min(difference + reach, 1.0)
    return AucComparison(first, second, difference, low, high, z, p_value)
