"""The cases that every statistic starts from: probabilities and labels, checked once and in the same words."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpe_core.errors import NotEnoughCases

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class Cases(NamedTuple):
    """N predicted cases.

    Attributes:
        probabilities: `(N,)` float64 in [0, 1].
        labels: `(N,)` bool, True where the outcome occurred.
    """

    probabilities: FloatArray
    labels: BoolArray

    @property
    def num_positive(self) -> int:
        """Cases with the outcome."""
        return int(self.labels.sum())

    @property
    def num_negative(self) -> int:
        """Cases without it."""
        return len(self.labels) - self.num_positive

    @property
    def fewest_of_a_class(self) -> int:
        """Cases of the rarer class."""
        return fewest_of_a_class(self.labels)


def fewest_of_a_class(labels: ArrayLike) -> int:
    """Cases of the rarer class, among `(N,)` labels 0 or 1."""
    num_positive = int(np.count_nonzero(labels))
    return min(num_positive, np.size(labels) - num_positive)


def binary_labels(labels: ArrayLike) -> BoolArray:
    """Labels as `(N,)` bool.

    Raises:
        ValueError: not one-dimensional, or a label is neither 0 nor 1.
    """
    y = np.asarray(labels)
    if y.ndim != 1 or not np.isin(y, (0, 1)).all():
        raise ValueError(f"labels should be (N,) of 0 and 1, got shape {y.shape}")
    return y.astype(np.bool_)


def predicted_cases(probabilities: ArrayLike, labels: ArrayLike) -> Cases:
    """Check probabilities and labels of N >= 1 cases.

    Raises:
        NotEnoughCases: there is none.
        ValueError: shapes differ, a probability is not in [0, 1], or a label is neither 0 nor 1.
    """
    p, y = np.asarray(probabilities, dtype=np.float64), binary_labels(labels)
    if p.shape != y.shape:
        raise ValueError(f"probabilities should be as many as the labels {y.shape}, got {p.shape}")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities should be between 0 and 1")
    if not len(p):
        raise NotEnoughCases("expected at least one case, got none")
    return Cases(p, y)


def cases_of_both_classes(probabilities: ArrayLike, labels: ArrayLike) -> Cases:
    """As `predicted_cases`, with at least one case of each class.

    Raises:
        NotEnoughCases: a class has no case.
        ValueError: as for `predicted_cases`.
    """
    cases = predicted_cases(probabilities, labels)
    if not (cases.num_positive and cases.num_negative):
        raise NotEnoughCases(
            f"expected cases of both classes, got {cases.num_positive} positive and {cases.num_negative} negative"
        )
    return cases
