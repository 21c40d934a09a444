"""Whether two AUCs differ: DeLong's test for models on the same cases, and on different ones."""

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
    cases, others = _testable(first, labels), _testable(second, labels)
    result = correlated_aucs([cases.probabilities, others.probabilities], cases.labels)
    contrast = np.array([1.0, -1.0])
    return _compared(*result.aucs, variance=float(contrast @ result.covariance @ contrast), level=level)


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
