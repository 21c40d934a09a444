"""Whether one model's AUC is above another's on the same held-out cases: over folds, and pooled."""

from dataclasses import dataclass

from fpe_core.evaluation.comparison import AucComparison, compare_paired_aucs
from fpe_core.evaluation.folds import FoldDifference, fold_difference
from fpe_sim.ucla_scanet.held_out import FoldPredictions, pooled


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
    over_folds: FoldDifference
    pooled: AucComparison


def compare_models(first: str, second: str, predictions: dict[str, tuple[FoldPredictions, ...]]) -> ModelComparison:
    """Compare two models by name.

    Raises:
        NotEnoughCases: a class has no held-out case.
    """
    ours, theirs = predictions[first], predictions[second]
    together, others = pooled(ours), pooled(theirs)
    return ModelComparison(
        first=first,
        second=second,
        over_folds=fold_difference(
            first=[fold.scores.auc for fold in ours], second=[fold.scores.auc for fold in theirs]
        ),
        pooled=compare_paired_aucs(first=together.probabilities, second=others.probabilities, labels=together.labels),
    )
