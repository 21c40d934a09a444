"""Predicted probabilities as counts per bin: the form in which they may leave a site, and what can be told from it.

Needs NumPy only: the server reads ROC curves and AUCs off counts without torch or scikit-learn. Positive and negative
counts are keyword-only everywhere, because swapping them would give 1 − AUC and no error.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpe_core.errors import NotEnoughCases
from fpe_core.protocol import NUM_SCORE_BINS

IntArray = NDArray[np.int64]

_FINE_LOGIT = 0.01
_LARGEST_LOGIT = 20.0
Counts = Sequence[int] | IntArray
"""`(NUM_SCORE_BINS,)` number of cases per bin, from probability 0 up."""

FEWEST_FOR_DELONG = 5
"""Cases of each class below which DeLong's variance is not used.

It takes an AUC's distribution for normal and reads its width off the cases. Of 95 % intervals around an AUC of .65 or
.80, drawn from two normal populations with 12 or 40 negative cases, those with two positive cases held the truth in 65
to 77 %, with five in 84 to 90 %, with twenty in 92 to 94 %.
"""


def _score_edges() -> NDArray[np.float64]:
    reach = np.arcsinh(_LARGEST_LOGIT / _FINE_LOGIT)
    logits = _FINE_LOGIT * np.sinh(np.linspace(-reach, reach, NUM_SCORE_BINS + 1))
    edges = 1 / (1 + np.exp(-logits))
    edges[0], edges[-1] = 0.0, 1.0
    return edges


SCORE_EDGES = _score_edges()
"""`(NUM_SCORE_BINS + 1,)` float64, rising from 0 to 1: the bins' edges, the same at every site and in every study.

Equally spaced in asinh(logit / 0.01). Around p = 0.5 a bin is 0.0001 wide, further out it is 3 % of the logit: a young
network, whose outputs all lie close together, keeps its ranks, and so does a confident one. With equal bins of
probability the first had an AUC of 0.5 whatever it knew.
"""


@dataclass(frozen=True, eq=False)
class RocCurve:
    """All points of a ROC curve that counts can tell, from (0, 0) to (1, 1).

    Attributes:
        thresholds: `(NUM_SCORE_BINS + 1,)` float64, falling from 1 to 0: bin edges, at and above which a probability
            counts as positive. At 1 nothing does: the last bin, which holds p = 1, lies below it.
        false_positive_rate: same shape, rising.
        true_positive_rate: same shape, rising.
    """

    thresholds: NDArray[np.float64]
    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]


@dataclass(frozen=True)
class AucInterval:
    """An AUC and the ends of its confidence interval, all in [0, 1]."""

    auc: float
    low: float
    high: float

    @property
    def has_no_width(self) -> bool:
        """Whether all pairs of cases rank alike: DeLong's interval then says nothing."""
        return self.low == self.high


def quantise(probabilities: ArrayLike) -> IntArray:
    """Bin of each probability: `(N,)` in [0, 1] to `(N,)` int64 in [0, NUM_SCORE_BINS).

    Bins lie between `SCORE_EDGES` and are closed below; 1 belongs to the last.

    Raises:
        ValueError: a probability is not in [0, 1].
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities should be between 0 and 1")
    return np.minimum(np.searchsorted(SCORE_EDGES, p, side="right") - 1, NUM_SCORE_BINS - 1).astype(np.int64)


def count_scores(probabilities: ArrayLike, labels: ArrayLike) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Count N cases per bin, apart by class.

    Args:
        probabilities: `(N,)` float in [0, 1].
        labels: `(N,)` 0 or 1.

    Returns:
        Positive counts and negative counts, each of NUM_SCORE_BINS.

    Raises:
        ValueError: shapes differ, or a value is out of range.
    """
    bins, y = quantise(probabilities), np.asarray(labels)
    if bins.ndim != 1 or bins.shape != y.shape or not np.isin(y, (0, 1)).all():
        raise ValueError(f"labels should be 0 or 1 and as many as probabilities {bins.shape}, got {y.shape}")
    positive, negative = (np.bincount(bins[y == label], minlength=NUM_SCORE_BINS) for label in (1, 0))
    return tuple(positive.tolist()), tuple(negative.tolist())


def pool_counts(counts: Iterable[Counts]) -> IntArray:
    """Counts of one class over several sites: their sum. No site at all gives zeros."""
    total = np.zeros(NUM_SCORE_BINS, dtype=np.int64)
    for site_counts in counts:
        total += _checked(site_counts)
    return total


def roc_curve(*, positive: Counts, negative: Counts) -> RocCurve:
    """The ROC curve of binned scores.

    Raises:
        NotEnoughCases: a class has no case.
    """
    pos, neg = _both_classes(positive, negative)
    return RocCurve(SCORE_EDGES[::-1], _share_above(neg), _share_above(pos))


def auc_from_counts(*, positive: Counts, negative: Counts) -> float:
    """AUC of binned scores: the share of positive-negative pairs in the right order, one half for a shared bin.

    Raises:
        NotEnoughCases: a class has no case.
    """
    pos, neg = _both_classes(positive, negative)
    return float(pos @ placements(neg) / pos.sum())


def auc_interval(*, positive: Counts, negative: Counts, level: float = 0.95) -> AucInterval:
    """AUC with DeLong's confidence interval (DeLong et al., Biometrics 1988), exact on the binned scores.

    With fewer than `FEWEST_FOR_DELONG` cases of a class the interval is all of [0, 1].

    Args:
        positive: counts of positive cases.
        negative: counts of negative cases.
        level: coverage, in (0, 1).

    Raises:
        NotEnoughCases: a class has no case.
    """
    pos, neg = _both_classes(positive, negative)
    auc = auc_from_counts(positive=pos, negative=neg)
    if min(pos.sum(), neg.sum()) < FEWEST_FOR_DELONG:
        return AucInterval(auc, 0.0, 1.0)
    # The negatives' placements are seen from below; seen from above they are one minus it, with the same variance.
    variance = _variance(placements(neg), pos) / pos.sum() + _variance(placements(pos), neg) / neg.sum()
    return normal_interval(auc, variance, level=level)


def normal_interval(auc: float, variance: float, *, level: float) -> AucInterval:
    """The normal approximation around an AUC, cut to [0, 1].

    With classes that do not overlap its width is zero, which says more about the method than about the model.
    """
    reach = NormalDist().inv_cdf(0.5 + level / 2) * float(np.sqrt(variance))
    return AucInterval(auc, max(auc - reach, 0.0), min(auc + reach, 1.0))


def placements(counts: IntArray) -> NDArray[np.float64]:
    """For each bin along the last axis, the share of the cases below it, those in it counting half.

    Args:
        counts: `(..., B)` number of cases per bin, for any B bins in rising order; each row has a case.
    """
    shares: NDArray[np.float64] = (np.cumsum(counts, axis=-1) - counts / 2) / counts.sum(axis=-1, keepdims=True)
    return shares


def _checked(counts: Counts) -> IntArray:
    array = np.asarray(counts, dtype=np.int64)
    if array.shape != (NUM_SCORE_BINS,) or (array < 0).any():
        raise ValueError(f"counts should be {NUM_SCORE_BINS} numbers from 0, got shape {array.shape}")
    return array


def _both_classes(positive: Counts, negative: Counts) -> tuple[IntArray, IntArray]:
    pos, neg = _checked(positive), _checked(negative)
    if not (pos.any() and neg.any()):
        raise NotEnoughCases(f"ROC needs cases of both classes, got {pos.sum()} positive and {neg.sum()} negative")
    return pos, neg


def _share_above(counts: IntArray) -> NDArray[np.float64]:
    """Share of the cases at or above each bin edge, from the top edge down."""
    above = np.concatenate(([0], np.cumsum(counts[::-1])))
    share: NDArray[np.float64] = above / counts.sum()
    return share


def _variance(values: NDArray[np.float64], counts: IntArray) -> float:
    """Unbiased variance of `values`, each occurring as often as `counts` says."""
    mean = values @ counts / counts.sum()
    return float(((values - mean) ** 2) @ counts / (counts.sum() - 1))
