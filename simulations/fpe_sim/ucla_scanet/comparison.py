"""Whether one model's AUC is above another's on the same held-out cases: over folds, and pooled."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from fpe_core.evaluation.comparison import AucComparison, compare_paired_aucs
from fpe_core.evaluation.folds import student_half_width
from fpe_sim.ucla_scanet.held_out import FoldPredictions, pooled


@dataclass(frozen=True)
class OverFolds:
    """Mean difference of AUCs over K folds, with Student's interval.

    Attributes:
        mean: first − second.
        low: lower end of the 95 % interval.
        high: upper end.
        p_value: two-sided; None where all folds have the same difference.
    """

    mean: float
    low: float
    high: float
    p_value: float | None


@dataclass(frozen=True)
class ModelComparison:
    """Two models on the same folds.

    Attributes:
        first: its name.
        second: its name.
        over_folds: paired t over the folds' AUCs. The folds share development cases, which it does not know of: its
            interval is on the narrow side.
        pooled: paired DeLong on all held-out cases together, which compares probabilities of different folds' models.
    """

    first: str
    second: str
    over_folds: OverFolds
    pooled: AucComparison


def compare_models(first: str, second: str, predictions: dict[str, tuple[FoldPredictions, ...]]) -> ModelComparison:
    """Compare two models by name.

    Raises:
        NotEnoughCases: a class has fewer than two held-out cases.
    """
    ours, theirs = predictions[first], predictions[second]
    differences = [a.scores.auc - b.scores.auc for a, b in zip(ours, theirs, strict=True)]
    together, others = pooled(ours), pooled(theirs)
    return ModelComparison(
        first=first,
        second=second,
        over_folds=paired_t(differences),
        pooled=compare_paired_aucs(first=together.probabilities, second=others.probabilities, labels=together.labels),
    )


def paired_t(differences: Sequence[float]) -> OverFolds:
    """Student's interval and test of the mean of K ≥ 2 differences."""
    values = np.asarray(differences, dtype=np.float64)
    mean, error = float(values.mean()), float(stats.sem(values))
    if error == 0:
        return OverFolds(mean, mean, mean, None)
    half = student_half_width(float(values.std(ddof=1)), len(values))
    p_value = 2 * float(stats.t.sf(abs(mean) / error, len(values) - 1))
    return OverFolds(mean, mean - half, mean + half, p_value)
