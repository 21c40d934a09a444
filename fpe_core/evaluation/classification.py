"""What calling cases positive or negative got right: the four counts and the rates that are read off them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.cases import binary_labels
from fpe_core.evaluation.shares import Share, share_of


@dataclass(frozen=True)
class Confusion:
    """Counts of calls against outcomes, at least one case of each class."""

    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int

    @property
    def num_cases(self) -> int:
        """All cases."""
        return self.true_positive + self.false_positive + self.true_negative + self.false_negative

    @property
    def sensitivity(self) -> float:
        """TP / (TP + FN), also called recall or true positive rate."""
        return self.true_positive / (self.true_positive + self.false_negative)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP), the true negative rate."""
        return self.true_negative / (self.true_negative + self.false_positive)

    @property
    def accuracy(self) -> float:
        """(TP + TN) / N."""
        return (self.true_positive + self.true_negative) / self.num_cases

    @property
    def balanced_accuracy(self) -> float:
        """Mean of sensitivity and specificity: 0.5 for guessing whatever the prevalence."""
        return (self.sensitivity + self.specificity) / 2

    @property
    def precision(self) -> float | None:
        """TP / (TP + FP), the positive predictive value; None where no case is called positive."""
        called = self.true_positive + self.false_positive
        return self.true_positive / called if called else None

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and sensitivity, 2 TP / (2 TP + FP + FN)."""
        return 2 * self.true_positive / (2 * self.true_positive + self.false_positive + self.false_negative)

    @property
    def youden(self) -> float:
        """J = sensitivity + specificity − 1 (Youden, Cancer 1950), in [−1, 1]."""
        return self.sensitivity + self.specificity - 1

    def sensitivity_interval(self, *, level: float = 0.95) -> Share:
        """Sensitivity with Wilson's interval."""
        return share_of(self.true_positive, self.true_positive + self.false_negative, level=level)

    def specificity_interval(self, *, level: float = 0.95) -> Share:
        """Specificity with Wilson's interval."""
        return share_of(self.true_negative, self.true_negative + self.false_positive, level=level)


def confusion_of(called_positive: ArrayLike, labels: ArrayLike) -> Confusion:
    """Count calls against outcomes.

    Args:
        called_positive: `(N,)` bool or 0 and 1.
        labels: `(N,)` 0 or 1.

    Raises:
        NotEnoughCases: a class has no case.
        ValueError: shapes differ, or a value is neither 0 nor 1.
    """
    called, y = binary_labels(called_positive), binary_labels(labels)
    if called.shape != y.shape:
        raise ValueError(f"calls should be as many as the labels {y.shape}, got {called.shape}")
    if y.all() or not y.any():
        raise NotEnoughCases(f"expected cases of both classes, got {y.sum()} positive and {(~y).sum()} negative")
    counts = np.bincount(2 * called + y, minlength=4)
    true_negative, false_negative, false_positive, true_positive = (int(count) for count in counts)
    return Confusion(true_positive, false_positive, true_negative, false_negative)
