"""One model's folds with all that tables are made of: a network's, an ensemble's, a regression's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpe_core.evaluation.cases import FloatArray
from fpe_core.evaluation.comparison import AucComparison, compare_paired_aucs
from fpe_core.evaluation.delong import delong_interval
from fpe_core.evaluation.discrimination import PredictionScores, prediction_scores
from fpe_core.evaluation.ensemble import FoldVote, fit_fold_ensemble, fold_probabilities, vote_over_folds
from fpe_core.evaluation.folds import MeanSd, summarise_folds
from fpe_core.evaluation.scores import AucInterval
from fpe_core.evaluation.thresholds import Threshold, choose_threshold
from fpe_core.training.fold_store import FoldOutcome
from fpe_sim.vdh_rlvo.protocol import Input

Part = Literal["validation", "test"]
PARTS: Final[tuple[Part, Part]] = ("validation", "test")
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class JudgedFold:
    """What one fold's model says, without its weights.

    Attributes:
        validation: `(N,)` float64 probabilities of its validation cases.
        validation_labels: `(N,)` int64.
        test: `(M,)` float64 probabilities of the test cohort.
        test_labels: `(M,)` int64.
        threshold: Youden's, of its validation cases.
    """

    validation: FloatArray
    validation_labels: IntArray
    test: FloatArray
    test_labels: IntArray
    threshold: Threshold


Folds = tuple[JudgedFold, ...]


def judged(outcome: FoldOutcome) -> JudgedFold:
    """A network's fold."""
    return JudgedFold(
        outcome.validation.probabilities, outcome.validation.labels, outcome.test.probabilities, outcome.test.labels,
        outcome.threshold,
    )  # fmt: skip


def judged_probabilities(
    *, validation: FloatArray, validation_labels: IntArray, test: FloatArray, test_labels: IntArray
) -> JudgedFold:
    """A fold whose threshold is still to be chosen.

    Raises:
        NotEnoughCases: a class has no validation case.
    """
    threshold = choose_threshold(validation_probabilities=validation, validation_labels=validation_labels)
    return JudgedFold(validation, validation_labels, test, test_labels, threshold)


def ensemble(members: Mapping[Input, Folds]) -> Folds:
    """Each fold's weighted vote of its members, for example NCCT, CTA and BOTH (EJR 2025, section 2.4).

    A single member stands for itself: a vote of one would only bend its probabilities, and where its threshold calls
    all cases positive make them all 1.

    Raises:
        ValueError: members have different numbers of folds, or other cases.
    """
    if len(members) == 1:
        return next(iter(members.values()))
    return tuple(_voted(dict(zip(members, folds, strict=True))) for folds in zip(*members.values(), strict=True))


def _voted(members: Mapping[Input, JudgedFold]) -> JudgedFold:
    first = next(iter(members.values()))
    for name, fold in members.items():
        if not np.array_equal(fold.validation_labels, first.validation_labels):
            raise ValueError(f"members of an ensemble should have the same validation cases; {name} has others")
    validation: dict[str, ArrayLike] = {name: fold.validation for name, fold in members.items()}
    test: dict[str, ArrayLike] = {name: fold.test for name, fold in members.items()}
    fitted = fit_fold_ensemble(validation_probabilities=validation, validation_labels=first.validation_labels)
    return JudgedFold(
        fold_probabilities(fitted, validation),
        first.validation_labels,
        fold_probabilities(fitted, test),
        first.test_labels,
        fitted.threshold,
    )


def fold_scores(folds: Folds, part: Part) -> tuple[PredictionScores, ...]:
    """Scores of each fold, on its own validation cases or on the test cohort."""
    return tuple(
        prediction_scores(fold.validation, fold.validation_labels, threshold=fold.threshold)
        if part == "validation"
        else prediction_scores(fold.test, fold.test_labels, threshold=fold.threshold)
        for fold in folds
    )


def summary(folds: Folds, part: Part) -> dict[str, MeanSd | None]:
    """Mean and SD of each score over the folds."""
    return summarise_folds(fold_scores(folds, part))


def fold_aucs(folds: Folds, part: Part) -> list[float]:
    """AUC of each fold."""
    return [scores.auc for scores in fold_scores(folds, part)]


def mean_auc(folds: Folds, part: Part) -> float:
    """Mean AUC over the folds."""
    return float(np.mean(fold_aucs(folds, part)))


def majority_vote(folds: Folds) -> FoldVote:
    """What more than half of the folds say about the test cohort."""
    return vote_over_folds([fold.test for fold in folds], thresholds=[fold.threshold for fold in folds])


def pooled(folds: Folds, part: Part) -> tuple[FloatArray, IntArray]:
    """One probability for each case, and its label: out-of-fold predictions side by side, or the mean over the folds on
    the test cohort."""
    if part == "validation":
        return (
            np.concatenate([fold.validation for fold in folds]),
            np.concatenate([fold.validation_labels for fold in folds]),
        )
    return np.mean([fold.test for fold in folds], axis=0), folds[0].test_labels


def pooled_interval(folds: Folds, part: Part) -> AucInterval:
    """AUC of `pooled` with DeLong's interval."""
    probabilities, labels = pooled(folds, part)
    return delong_interval(probabilities, labels)


def paired_difference(first: Folds, second: Folds, part: Part) -> AucComparison:
    """DeLong's test of two models on the same `pooled` cases.

    Raises:
        ValueError: the models have other cases.
    """
    (probabilities, labels), (others, other_labels) = pooled(first, part), pooled(second, part)
    if not np.array_equal(labels, other_labels):
        raise ValueError("a paired difference needs two models of the same cases")
    return compare_paired_aucs(first=probabilities, second=others, labels=labels)
