"""What DAFT adds to the same network: paired differences of AUC, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

from fpe_core.evaluation.comparison import AucComparison, PairedModels, compare_mean_aucs
from fpe_core.evaluation.folds import FoldDifference, fold_difference
from fpe_sim.vdh_rlvo.judged import PARTS, Folds, Part, fold_aucs, paired_difference, pooled
from fpe_sim.vdh_rlvo.networks import Variant


@dataclass(frozen=True)
class DaftGain:
    """AUC with DAFT minus AUC without it.

    Attributes:
        variant: the one with DAFT.
        by_fold: over the folds' own AUCs, by part.
        pooled: DeLong's test on all cases of a part.
    """

    variant: Variant
    by_fold: dict[Part, FoldDifference]
    pooled: dict[Part, AucComparison]


def daft_gain(variant: Variant, with_daft: Folds, without: Folds) -> DaftGain:
    """Both models were validated on the same folds and tested on the same cases."""
    return DaftGain(
        variant,
        {part: fold_difference(first=fold_aucs(with_daft, part), second=fold_aucs(without, part)) for part in PARTS},
        {part: paired_difference(with_daft, without, part) for part in PARTS},
    )


def overall_gain(pairs: Sequence[tuple[Folds, Folds]], part: Part) -> AucComparison:
    """Mean AUC of single networks with DAFT against that of the same networks without it.

    Args:
        pairs: each network's folds, with DAFT and without; all on the same cases.
        part: in validation each fold is scored on its own cases and the folds' differences are averaged, so that
            networks of different folds need not mean the same by a probability; on the test cohort each network
            speaks with the mean over its folds.
    """
    if part == "validation":
        sets = [_fold_models(pairs, fold) for fold in range(len(pairs[0][0]))]
    else:
        with_daft, without = ([pooled(pair[place], part)[0] for pair in pairs] for place in (0, 1))
        sets = [PairedModels(with_daft, without, pooled(pairs[0][0], part)[1])]
    return compare_mean_aucs(sets)


def _fold_models(pairs: Sequence[tuple[Folds, Folds]], fold: int) -> PairedModels:
    with_daft, without = ([pair[place][fold].validation for pair in pairs] for place in (0, 1))
    return PairedModels(with_daft, without, pairs[0][0][fold].validation_labels)
