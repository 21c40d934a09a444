"""Metrics of a binary prediction: the exact AUC at a site, and what a threshold does, from counts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.scores import SCORE_EDGES, Counts, pool_counts, roc_curve
from fpe_core.protocol import NUM_SCORE_BINS


@dataclass(frozen=True)
class ThresholdRates:
    """What calling every probability at or above `threshold` positive does; shares in [0, 1]."""

    threshold: float
    sensitivity: float
    specificity: float
    accuracy: float


def roc_auc(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Exact AUC: the Mann-Whitney share of positive-negative pairs in the right order, ties one half.

    Args:
        probabilities: `(N,)` float, any monotone score will do.
        labels: `(N,)` 0 or 1.

    Raises:
        NotEnoughCases: a class has no case.
        ValueError: shapes differ, a score is not finite, or a label is neither 0 nor 1.
    """
    scores, y = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if scores.ndim != 1 or scores.shape != y.shape or not np.isfinite(scores).all() or not np.isin(y, (0, 1)).all():
        raise ValueError(f"AUC needs finite scores and as many labels 0 or 1, got {scores.shape} and {y.shape}")
    positive, negative = scores[y == 1], np.sort(scores[y == 0])
    if not (len(positive) and len(negative)):
        raise NotEnoughCases(
            f"AUC needs cases of both classes, got {len(positive)} positive and {len(negative)} negative"
        )
    below = np.searchsorted(negative, positive, side="left")
    not_above = np.searchsorted(negative, positive, side="right")
    return float((below + not_above).sum() / (2 * len(positive) * len(negative)))


def youden_threshold(*, positive: Counts, negative: Counts) -> float:
    """The bin edge with the largest J = sensitivity + specificity − 1 (Youden, Cancer 1950).

    Where several edges are equally good (empty bins between the classes), the middle one of them.

    Raises:
        NotEnoughCases: a class has no case.
    """
    curve = roc_curve(positive=positive, negative=negative)
    gain = curve.true_positive_rate - curve.false_positive_rate
    best = np.flatnonzero(np.isclose(gain, gain.max(), rtol=0, atol=1e-12))
    return float(curve.thresholds[best[len(best) // 2]])


def rates_at(threshold: float, *, positive: Counts, negative: Counts) -> ThresholdRates:
    """Sensitivity, specificity and accuracy when probabilities at or above `threshold` are called positive.

    Raises:
        NotEnoughCases: a class has no case.
        ValueError: `threshold` is no bin edge, so that counts cannot tell.
    """
    edge = int(np.argmin(np.abs(SCORE_EDGES - threshold)))
    if abs(SCORE_EDGES[edge] - threshold) > 1e-12:
        raise ValueError(f"threshold should be one of SCORE_EDGES, got {threshold}")
    curve = roc_curve(positive=positive, negative=negative)
    sensitivity = float(curve.true_positive_rate[NUM_SCORE_BINS - edge])
    specificity = float(1 - curve.false_positive_rate[NUM_SCORE_BINS - edge])
    num_positive, num_negative = int(pool_counts([positive]).sum()), int(pool_counts([negative]).sum())
    accuracy = (sensitivity * num_positive + specificity * num_negative) / (num_positive + num_negative)
    return ThresholdRates(threshold, sensitivity, specificity, accuracy)
