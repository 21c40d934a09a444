"""What DAFT adds to the same network: paired differences of AUC, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.comparison import AucComparison, PairedModels, compare_mean_aucs
from fpe_core.evaluation.folds import student_half_width
from fpe_sim.vdh_rlvo.judged import PARTS, Folds, Part, fold_scores, paired_difference, pooled
from fpe_sim.vdh_rlvo.networks import Variant

_NO_SPREAD = 1e-12


@dataclass(frozen=True)
class FoldDifference:
    """Mean over the folds of a paired difference, with Student's 95 % interval.

    Folds share most of their training cases and, in the test cohort, all of their cases: the interval is too narrow.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class DaftGain:
    """AUC with DAFT minus AUC without it.

    Attributes:
        variant: the one with DAFT.
        by_fold: over the folds' own AUCs, by part.
        pooled: DeLong's test on all cases of a part; None where a class has a single case.
    """

    variant: Variant
    by_fold: dict[Part, FoldDifference]
    pooled: dict[Part, AucComparison | None]


def daft_gain(variant: Variant, with_daft: Folds, without: Folds) -> DaftGain:
    """Both models were validated on the same folds and tested on the same cases."""
    return DaftGain(
        variant,
        {part: fold_difference(with_daft, without, part) for part in PARTS},
        {part: paired_difference(with_daft, without, part) for part in PARTS},
    )


def overall_gain(pairs: Sequence[tuple[Folds, Folds]], part: Part) -> AucComparison | None:
    """Mean AUC of single networks with DAFT against that of the same networks without it.

    Args:
        pairs: each network's folds, with DAFT and without; all on the same cases.
        part: in validation each fold is scored on its own cases and the folds' differences are averaged, so that
            networks of different folds need not mean the same by a probability; on the test cohort each network
            speaks with the mean over its folds.

    Returns:
        None where a class has a single case in a fold, or in the test cohort.
    """
    if part == "validation":
        sets = [_fold_models(pairs, fold) for fold in range(len(pairs[0][0]))]
    else:
        with_daft, without = ([pooled(pair[place], part)[0] for pair in pairs] for place in (0, 1))
        sets = [PairedModels(with_daft, without, pooled(pairs[0][0], part)[1])]
    try:
        return compare_mean_aucs(sets)
    except NotEnoughCases:
        return None


def _fold_models(pairs: Sequence[tuple[Folds, Folds]], fold: int) -> PairedModels:
    with_daft, without = ([pair[place][fold].validation for pair in pairs] for place in (0, 1))
    return PairedModels(with_daft, without, pairs[0][0][fold].validation_labels)


def fold_difference(first: Folds, second: Folds, part: Part) -> FoldDifference:
    """Paired by fold. Differences that are all the same, as happens with a handful of cases, tell nothing of how they
    spread: the interval is then all of [−1, 1]."""
    differences = [
        one.auc - other.auc for one, other in zip(fold_scores(first, part), fold_scores(second, part), strict=True)
    ]
    mean, spread, folds = float(np.mean(differences)), float(np.std(differences, ddof=1)), len(differences)
    if spread < _NO_SPREAD:
        return FoldDifference(mean, -1.0, 1.0)
    reach = student_half_width(spread, folds)
    return FoldDifference(mean, max(mean - reach, -1.0), min(mean + reach, 1.0))
