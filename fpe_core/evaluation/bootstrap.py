"""A bootstrap interval for the AUC, as a second opinion where DeLong's normal approximation is doubtful."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpe_core.evaluation.cases import FloatArray, cases_of_both_classes
from fpe_core.evaluation.metrics import roc_auc
from fpe_core.evaluation.scores import AucInterval, placements

_COUNTS_AT_ONCE = 4_000_000


def bootstrap_auc_interval(
    probabilities: ArrayLike, labels: ArrayLike, *, seed: int, num_resamples: int = 2000, level: float = 0.95
) -> AucInterval:
    """Exact AUC with the stratified percentile bootstrap interval (Efron & Tibshirani 1993, chapter 13).

    Cases are drawn with replacement within each class, so that every resample has as many positive cases as the data.
    A case is the unit: several cases of one patient would make the interval too narrow. Classes that do not overlap
    have the interval [1, 1], as with DeLong.

    Args:
        probabilities: `(N,)` float in [0, 1].
        labels: `(N,)` 0 or 1.
        seed: the same seed gives the same interval.
        num_resamples: number of resamples, at least 1.
        level: coverage, in (0, 1).

    Raises:
        NotEnoughCases: a class has no case.
        ValueError: `num_resamples` is below 1.
    """
    cases = cases_of_both_classes(probabilities, labels)
    if num_resamples < 1:
        raise ValueError(f"num_resamples should be at least 1, got {num_resamples}")
    distinct, place = np.unique(cases.probabilities, return_inverse=True)
    positive, negative = (np.bincount(place[cases.labels == label], minlength=len(distinct)) for label in (True, False))
    aucs = _resampled_aucs(positive, negative, num_resamples, np.random.default_rng(seed))
    low, high = np.quantile(aucs, [0.5 - level / 2, 0.5 + level / 2])
    return AucInterval(roc_auc(cases.probabilities, cases.labels), float(low), float(high))


def _resampled_aucs(
    positive: NDArray[np.int64], negative: NDArray[np.int64], num_resamples: int, generator: np.random.Generator
) -> FloatArray:
    """AUCs of resamples. Drawing n of n cases with replacement is one multinomial draw of counts per probability."""
    at_once = max(_COUNTS_AT_ONCE // len(positive), 1)
    parts = []
    for start in range(0, num_resamples, at_once):
        size = min(at_once, num_resamples - start)
        pos = generator.multinomial(positive.sum(), positive / positive.sum(), size=size)
        neg = generator.multinomial(negative.sum(), negative / negative.sum(), size=size)
        parts.append((pos * placements(neg)).sum(axis=1) / positive.sum())
    return np.concatenate(parts)
