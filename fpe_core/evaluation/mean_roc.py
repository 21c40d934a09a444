"""The mean ROC curve over folds, with its band of one standard deviation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import roc_curve

from fpe_core.evaluation.cases import Cases, FloatArray, cases_of_both_classes
from fpe_core.evaluation.folds import MeanSd, mean_sd
from fpe_core.evaluation.metrics import roc_auc

GRID_STEPS = 100


@dataclass(frozen=True, eq=False)
class MeanRoc:
    """A mean ROC curve, from (0, 0) to (1, 1).

    Attributes:
        false_positive_rate: `(GRID_STEPS + 1,)` float64, 0 to 1 in equal steps.
        true_positive_rate: same shape: mean over the folds.
        low: same shape: mean − SD, cut to [0, 1]; the mean itself with a single fold.
        high: same shape: mean + SD, cut likewise.
        auc: of the folds' own curves; the area under the mean curve is a little smaller, because the steps are
            drawn as slopes.
    """

    false_positive_rate: FloatArray
    true_positive_rate: FloatArray
    low: FloatArray
    high: FloatArray
    auc: MeanSd


def mean_roc(folds: Sequence[tuple[ArrayLike, ArrayLike]]) -> MeanRoc:
    """Average ROC curves vertically (Fawcett, Pattern Recognit Lett 2006, section 8.1), each fold counting once.

    Args:
        folds: probabilities `(N,)` in [0, 1] and labels `(N,)` of 0 and 1 of each fold; N may differ.

    Raises:
        NotEnoughCases: a class has no case in a fold.
        ValueError: there is no fold.
    """
    if not folds:
        raise ValueError("expected at least one fold, got none")
    checked = [cases_of_both_classes(probabilities, labels) for probabilities, labels in folds]
    grid = np.arange(GRID_STEPS + 1) / GRID_STEPS
    curves = np.stack([_on_grid(cases, grid) for cases in checked])
    mean = curves.mean(axis=0)
    spread = curves.std(axis=0, ddof=1) if len(curves) > 1 else np.zeros_like(mean)
    return MeanRoc(
        false_positive_rate=grid,
        true_positive_rate=mean,
        low=np.clip(mean - spread, 0, 1),
        high=np.clip(mean + spread, 0, 1),
        auc=mean_sd([roc_auc(cases.probabilities, cases.labels) for cases in checked]),
    )


def _on_grid(cases: Cases, grid: FloatArray) -> FloatArray:
    false_positive_rate, true_positive_rate, _ = roc_curve(cases.labels, cases.probabilities)
    # At a vertical step np.interp gives its upper end, so (0, 0) has to be put back.
    curve: FloatArray = np.interp(grid, false_positive_rate, true_positive_rate)
    curve[0] = 0.0
    return curve
