"""Whether acting on a model does more good than acting on everybody or on nobody (Vickers & Elkin 2006)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fpe_core.evaluation.cases import FloatArray, cases_of_both_classes


@dataclass(frozen=True, eq=False)
class DecisionCurve:
    """Net benefit, in true positives per case, over thresholds; that of treating nobody is 0 throughout.

    Attributes:
        thresholds: `(T,)` float64 in (0, 1): the probability at which harm and good of acting weigh the same.
        model: `(T,)` float64: act where the model's probability is at or above the threshold.
        treat_all: `(T,)` float64: act on everybody.
    """

    thresholds: FloatArray
    model: FloatArray
    treat_all: FloatArray


def decision_curve(
    probabilities: ArrayLike, labels: ArrayLike, *, thresholds: ArrayLike | None = None
) -> DecisionCurve:
    """Net benefit TP / N − FP / N · t / (1 − t) (Vickers & Elkin, Med Decis Making 2006).

    Args:
        probabilities: `(N,)` float in [0, 1].
        labels: `(N,)` 0 or 1.
        thresholds: `(T,)` in (0, 1); by default 0.01, 0.02, … 0.99.

    Raises:
        NotEnoughCases: a class has no case.
        ValueError: a threshold is not between 0 and 1.
    """
    cases = cases_of_both_classes(probabilities, labels)
    t = np.arange(1, 100) / 100 if thresholds is None else np.asarray(thresholds, dtype=np.float64)
    if t.ndim != 1 or not ((t > 0) & (t < 1)).all():
        raise ValueError("thresholds should be (T,) and lie between 0 and 1, without either")
    true_positive = _at_or_above(t, cases.probabilities[cases.labels])
    false_positive = _at_or_above(t, cases.probabilities[~cases.labels])
    num_cases, odds = len(cases.labels), t / (1 - t)
    return DecisionCurve(
        thresholds=t,
        model=(true_positive - false_positive * odds) / num_cases,
        treat_all=(cases.num_positive - cases.num_negative * odds) / num_cases,
    )


def _at_or_above(thresholds: FloatArray, probabilities: FloatArray) -> FloatArray:
    """How many probabilities lie at or above each threshold."""
    below = np.searchsorted(np.sort(probabilities), thresholds, side="left")
    return (len(probabilities) - below).astype(np.float64)
