"""DeLong's variance of the AUC: a confidence interval for one model, covariances for several on the same cases.

DeLong, DeLong & Clarke-Pearson, Biometrics 1988; by ranks in O(N log N) as Sun & Xu, IEEE Signal Process Lett 2014.
Cases that share a probability are one bin here, so the placements are those that `scores` takes off binned counts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fpe_core.evaluation.cases import BoolArray, Cases, FloatArray, cases_of_both_classes
from fpe_core.evaluation.metrics import roc_auc
from fpe_core.evaluation.scores import FEWEST_FOR_DELONG, AucInterval, normal_interval, placements


@dataclass(frozen=True, eq=False)
class CorrelatedAucs:
    """AUCs of K models on the same cases.

    Attributes:
        aucs: `(K,)` float64 in [0, 1].
        covariance: `(K, K)` float64, DeLong's estimate.
    """

    aucs: FloatArray
    covariance: FloatArray


def delong_interval(probabilities: ArrayLike, labels: ArrayLike, *, level: float = 0.95) -> AucInterval:
    """Exact AUC with DeLong's confidence interval.

    The same as `scores.auc_interval`, of the probabilities themselves instead of their bins. With fewer than
    `FEWEST_FOR_DELONG` cases of a class the interval is all of [0, 1].

    Args:
        probabilities: `(N,)` float in [0, 1].
        labels: `(N,)` 0 or 1.
        level: coverage, in (0, 1).

    Raises:
        NotEnoughCases: a class has no case.
    """
    cases = cases_of_both_classes(probabilities, labels)
    if cases.fewest_of_a_class < FEWEST_FOR_DELONG:
        return AucInterval(roc_auc(cases.probabilities, cases.labels), 0.0, 1.0)
    result = correlated_aucs([cases.probabilities], cases.labels)
    return normal_interval(float(result.aucs[0]), float(result.covariance[0, 0]), level=level)


def correlated_aucs(models: list[FloatArray], labels: BoolArray) -> CorrelatedAucs:
    """AUCs and DeLong's covariance of K models' probabilities, each `(N,)`, for the same N cases.

    Args:
        models: K arrays of checked probabilities.
        labels: `(N,)` bool, at least two cases of each class.
    """
    of_positive, of_negative = zip(*(_placed(Cases(p, labels)) for p in models), strict=True)
    positive, negative = np.stack(of_positive), np.stack(of_negative)
    covariance = np.cov(positive) / positive.shape[1] + np.cov(negative) / negative.shape[1]
    return CorrelatedAucs(positive.mean(axis=1), covariance.reshape(len(models), len(models)))


def _placed(cases: Cases) -> tuple[FloatArray, FloatArray]:
    """For each positive case the share of negatives below it, for each negative that of positives above it."""
    distinct, place = np.unique(cases.probabilities, return_inverse=True)
    positive, negative = place[cases.labels], place[~cases.labels]
    below = placements(np.bincount(negative, minlength=len(distinct)))
    above = 1 - placements(np.bincount(positive, minlength=len(distinct)))
    return below[positive], above[negative]
