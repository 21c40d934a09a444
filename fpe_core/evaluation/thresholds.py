"""A threshold on the probability: chosen on validation cases, applied to others.

Choosing and applying are two functions with a `Threshold` between them. What scores test cases takes a threshold and
never looks for one, so that a threshold fitted to test cases has to be asked for in so many words.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpe_core.evaluation.cases import BoolArray, FloatArray, cases_of_both_classes


@dataclass(frozen=True)
class Threshold:
    """A case is called positive when its probability is at or above `value`.

    Attributes:
        value: in [0, 1].
        validation_youden: J = sensitivity + specificity − 1 on the validation cases that chose it, in [0, 1].
    """

    value: float
    validation_youden: float


def choose_threshold(*, validation_probabilities: ArrayLike, validation_labels: ArrayLike) -> Threshold:
    """The threshold with the largest J = sensitivity + specificity − 1 (Youden, Cancer 1950) on validation cases.

    Any threshold between two neighbouring distinct probabilities does the same, so the middle between them is taken;
    below the lowest one the middle between it and 0. Of several equally good gaps the middle one is taken, of two
    middle ones the upper. That nothing is positive is no candidate: that everything is has the same J = 0.

    Args:
        validation_probabilities: `(N,)` float in [0, 1].
        validation_labels: `(N,)` 0 or 1.

    Raises:
        NotEnoughCases: a class has no case.
    """
    cases = cases_of_both_classes(validation_probabilities, validation_labels)
    distinct, place = np.unique(cases.probabilities, return_inverse=True)
    positive, negative = (np.bincount(place[cases.labels == label], minlength=len(distinct)) for label in (True, False))
    youden = _share_from_here_up(positive) - _share_from_here_up(negative)
    best = np.flatnonzero(np.isclose(youden, youden.max(), rtol=0, atol=1e-12))
    chosen = int(best[len(best) // 2])
    return Threshold(_middle_below(distinct, chosen), max(float(youden[chosen]), 0.0))


def classify(probabilities: ArrayLike, *, threshold: Threshold) -> BoolArray:
    """Which cases are called positive: `(N,)` float in [0, 1] to `(N,)` bool.

    Raises:
        ValueError: a probability is not in [0, 1].
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities should be between 0 and 1")
    called: BoolArray = p >= threshold.value
    return called


def _share_from_here_up(counts: NDArray[np.signedinteger]) -> FloatArray:
    share: FloatArray = np.cumsum(counts[::-1])[::-1] / counts.sum()
    return share


def _middle_below(distinct: FloatArray, index: int) -> float:
    """The middle of the gap below a distinct value; the value itself where rounding leaves nothing between."""
    lower, upper = (distinct[index - 1] if index else 0.0), distinct[index]
    middle = (lower + upper) / 2
    return float(middle if middle > lower else upper)
