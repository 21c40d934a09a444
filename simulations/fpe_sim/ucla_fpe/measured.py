"""What a protocol's folds show, as numbers: everything that its tables, figures and sentences are made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fpe_core.evaluation.comparison import AucComparison, compare_paired_aucs
from fpe_core.evaluation.delong import delong_interval
from fpe_core.evaluation.discrimination import PredictionScores, prediction_scores
from fpe_core.evaluation.folds import FoldDifference, MeanSd, fold_difference, summarise_folds
from fpe_core.evaluation.mean_roc import MeanRoc, mean_roc
from fpe_core.evaluation.scores import AucInterval
from fpe_core.training.fold_store import FoldOutcome
from fpe_core.training.predict import Predictions

COLUMNS = ("auc", "accuracy", "sensitivity", "specificity")
"""Fields of `PredictionScores` in the order of the paper's columns."""


@dataclass(frozen=True)
class Measured:
    """One network.

    Attributes:
        validation: mean (SD) over the folds, by score; each fold on its validation cases, at their own threshold.
        test: mean (SD) over the folds' models on the test cohort, by score; thresholds are those of validation.
        validation_aucs: of each fold.
        out_of_fold: AUC of the development cases, each judged by the model that has not seen it; DeLong's interval.
        pooled_test: AUC of the folds' mean probability on the test cohort, with DeLong's interval.
        test_roc: mean curve of the folds' models on the test cohort.
        mean_epochs: epochs that a fold trained for, mean.
    """

    validation: dict[str, MeanSd | None]
    test: dict[str, MeanSd | None]
    validation_aucs: tuple[float, ...]
    out_of_fold: AucInterval
    pooled_test: AucInterval
    test_roc: MeanRoc
    mean_epochs: float


@dataclass(frozen=True)
class Difference:
    """A network's AUC less another's, on the same cases.

    Attributes:
        over_folds: paired by fold, on validation cases.
        out_of_fold: DeLong's test on the development cases, each judged by the model that has not seen it.
        test: DeLong's test on the test cohort, of the folds' mean probability.
    """

    over_folds: FoldDifference
    out_of_fold: AucComparison
    test: AucComparison


def measure(folds: Sequence[FoldOutcome]) -> Measured:
    """All numbers of one network.

    Raises:
        NotEnoughCases: a class has no case in a fold's validation cases or in the test cohort.
    """
    validation = [_scores(fold.validation, fold) for fold in folds]
    probabilities, labels = pooled(folds)
    mean_probability, test_labels = mean_test(folds)
    return Measured(
        validation=summarise_folds(validation),
        test=summarise_folds([_scores(fold.test, fold) for fold in folds]),
        validation_aucs=tuple(scores.auc for scores in validation),
        out_of_fold=delong_interval(probabilities, labels),
        pooled_test=delong_interval(mean_probability, test_labels),
        test_roc=mean_roc([(fold.test.probabilities, fold.test.labels) for fold in folds]),
        mean_epochs=float(np.mean([fold.num_epochs for fold in folds])),
    )


def difference(first: Sequence[FoldOutcome], second: Sequence[FoldOutcome]) -> Difference:
    """First less second; both have the same folds."""
    (one, labels), (other, _) = pooled(first), pooled(second)
    (one_test, test_labels), (other_test, _) = mean_test(first), mean_test(second)
    return Difference(
        over_folds=fold_difference(first=measure(first).validation_aucs, second=measure(second).validation_aucs),
        out_of_fold=compare_paired_aucs(first=one, second=other, labels=labels),
        test=compare_paired_aucs(first=one_test, second=other_test, labels=test_labels),
    )


Judged = tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.int64]]]


def pooled(folds: Sequence[FoldOutcome]) -> Judged:
    """Probabilities and labels of all validation cases, fold after fold."""
    probabilities = np.concatenate([fold.validation.probabilities for fold in folds])
    return probabilities, np.concatenate([fold.validation.labels for fold in folds])


def mean_test(folds: Sequence[FoldOutcome]) -> Judged:
    """The folds' mean probability of each test case, and its label."""
    return np.mean([fold.test.probabilities for fold in folds], axis=0), folds[0].test.labels


def reached(auc: float, reachable: float) -> float:
    """How much of what could be learned was learned: 0 at an AUC of one half, 1 at the reachable one."""
    return (auc - 0.5) / (reachable - 0.5)


def _scores(predictions: Predictions, fold: FoldOutcome) -> PredictionScores:
    return prediction_scores(predictions.probabilities, predictions.labels, threshold=fold.threshold)
