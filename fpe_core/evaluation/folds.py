"""From the folds of a cross-validation, or replicates of a training, to mean and standard deviation."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import sqrt
from statistics import fmean, stdev

import numpy as np
from scipy.stats import t as student_t
from scipy.stats import ttest_1samp

from fpe_core.evaluation.discrimination import PredictionScores

_COUNTS = ("num_cases", "num_positive")
_NO_SPREAD = 1e-12


@dataclass(frozen=True)
class MeanSd:
    """Mean and standard deviation over folds.

    Attributes:
        mean: over the folds that have the number.
        sd: with n − 1 in the denominator; None for a single fold.
        num_values: how many folds have the number.
    """

    mean: float
    sd: float | None
    num_values: int


def mean_sd(values: Sequence[float]) -> MeanSd:
    """Mean and standard deviation (n − 1) of at least one finite value.

    Raises:
        ValueError: there is none, or one is not finite.
    """
    if not values or not np.isfinite(values).all():
        raise ValueError(f"mean and SD need finite values, at least one, got {list(values)}")
    return MeanSd(fmean(values), stdev(values) if len(values) > 1 else None, len(values))


def student_half_width(sd: float, num_values: int, *, level: float = 0.95) -> float:
    """Half the width of Student's interval of a mean.

    Args:
        sd: of the values, with n − 1 in the denominator.
        num_values: at least two.
        level: of the interval, in (0, 1).
    """
    return float(student_t.ppf(0.5 + level / 2, num_values - 1)) * sd / sqrt(num_values)


def student_interval(values: Sequence[float], *, lowest: float) -> tuple[float, float]:
    """Student's 95 % interval of the mean of scores, cut to what a score can be.

    Values that are all the same, as happens with a handful of cases, tell nothing of how they spread: the interval is
    then all of [lowest, 1].

    Args:
        values: at least two, each in [lowest, 1].
        lowest: 0 for a score such as an AUC, −1 for a difference of two.
    """
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    if spread < _NO_SPREAD:
        return lowest, 1.0
    reach = student_half_width(spread, len(values))
    return max(mean - reach, lowest), min(mean + reach, 1.0)


def t_test(differences: Sequence[float]) -> float | None:
    """Two-sided p of Student's test that the mean is zero, of at least two values; None where all are the same."""
    same = float(np.std(differences, ddof=1)) < _NO_SPREAD
    return None if same else float(ttest_1samp(differences, 0.0).pvalue)


@dataclass(frozen=True)
class FoldDifference:
    """Mean over the folds of the difference of two models' AUCs, or of another score in [0, 1], first − second.

    Folds share most of their training cases, and in a common test cohort all of their cases: the interval is rather
    too narrow.

    Attributes:
        mean: in [−1, 1].
        low: lower end of Student's 95 % interval, paired by fold: `student_interval`.
        high: upper end.
        p_value: two-sided, of the paired t test; None where all folds differ by the same.
    """

    mean: float
    low: float
    high: float
    p_value: float | None


def fold_difference(*, first: Sequence[float], second: Sequence[float]) -> FoldDifference:
    """Compare two models on the same folds.

    Args:
        first: a score of each fold, at least two.
        second: of the other model, in the same order.

    Raises:
        ValueError: lengths differ, or there is only one fold.
    """
    if len(first) < 2 or len(first) != len(second):
        raise ValueError(f"expected the same two or more folds twice, got {len(first)} and {len(second)}")
    differences = [one - other for one, other in zip(first, second, strict=True)]
    low, high = student_interval(differences, lowest=-1.0)
    return FoldDifference(fmean(differences), low, high, t_test(differences))


def summarise_folds(folds: Sequence[PredictionScores]) -> dict[str, MeanSd | None]:
    """Mean (SD) of every score over the folds, by the score's name.

    Each fold counts once, whatever its size. Only a precision may be missing; None where every fold lacks it.

    Raises:
        ValueError: there is no fold.
    """
    if not folds:
        raise ValueError("expected at least one fold, got none")
    summary: dict[str, MeanSd | None] = {}
    for field in fields(PredictionScores):
        if field.name not in _COUNTS:
            values = [value for fold in folds if (value := getattr(fold, field.name)) is not None]
            summary[field.name] = mean_sd(values) if values else None
    return summary


def format_mean_sd(value: MeanSd, *, digits: int = 4) -> str:
    """As the journals print it: `.7505 (.0438)`, without the zero before the point; no bracket without an SD."""
    mean = _without_leading_zero(value.mean, digits)
    return mean if value.sd is None else f"{mean} ({_without_leading_zero(value.sd, digits)})"


def _without_leading_zero(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text
