"""Vall d'Hebron's ensemble: a weighted vote of NCCT, CTA and BOTH within a fold, then a majority over the folds.

The paper (Eur J Radiol 2025, section 2.4) says that weights come from each model's true positive and true negative
rates in validation, to make up for class imbalance, and that thresholds maximise Youden's index. It leaves open the
formula, how a 2 : 2 vote of its four folds counts, and which score the AUC of the vote is of. Our choices stand at the
functions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fpe_core.evaluation.cases import BoolArray, FloatArray, cases_of_both_classes
from fpe_core.evaluation.classification import confusion_of
from fpe_core.evaluation.thresholds import Threshold, choose_threshold, classify


@dataclass(frozen=True)
class VoteWeight:
    """How much a model's vote counts: its rates on validation cases, at its own Youden threshold there."""

    true_positive_rate: float
    true_negative_rate: float


@dataclass(frozen=True)
class FoldEnsemble:
    """One fold's weighted vote: a weight for each model by name, and the threshold of the voted probability."""

    weights: Mapping[str, VoteWeight]
    threshold: Threshold


@dataclass(frozen=True, eq=False)
class FoldVote:
    """What F folds say about N cases.

    Attributes:
        positive: `(N,)` bool: more than half of the folds call the case positive.
        vote_share: `(N,)` float64 in [0, 1]: share of the folds that do. As a score it has F + 1 values only.
        mean_probability: `(N,)` float64 in [0, 1]: mean over the folds, for an AUC with all ranks.
    """

    positive: BoolArray
    vote_share: FloatArray
    mean_probability: FloatArray


def fit_fold_ensemble(
    *, validation_probabilities: Mapping[str, ArrayLike], validation_labels: ArrayLike
) -> FoldEnsemble:
    """Weights of a fold's models, and the threshold of their vote, all from that fold's validation cases.

    Args:
        validation_probabilities: for each model, for example `ncct`, `cta`, `both`, `(N,)` float in [0, 1] of the same
            cases in the same order.
        validation_labels: `(N,)` 0 or 1.

    Raises:
        NotEnoughCases: a class has no case.
        ValueError: there is no model, or shapes differ.
    """
    weights = {
        name: _vote_weight(probabilities, validation_labels) for name, probabilities in validation_probabilities.items()
    }
    voted = _weighted_vote(weights, validation_probabilities)
    threshold = choose_threshold(validation_probabilities=voted, validation_labels=validation_labels)
    return FoldEnsemble(weights, threshold)


def fold_probabilities(ensemble: FoldEnsemble, probabilities: Mapping[str, ArrayLike]) -> FloatArray:
    """The weighted vote of a fold's models, `(N,)` float64 in [0, 1].

    Model m with probability p gives TPR_m · p to the outcome and TNR_m · (1 − p) against it; the vote is the outcome's
    part of all that was given. So a model that finds the outcome but sees it everywhere counts when it says no, and
    the other way round. Models with TPR = TNR of the same size give the plain mean. Where nothing was given (every
    model has TNR = 0 and says 0) the vote is 0.5.

    Args:
        ensemble: from `fit_fold_ensemble`.
        probabilities: `(N,)` float in [0, 1] for each of the ensemble's models, of the same cases in the same order.

    Raises:
        ValueError: the models are not those of the ensemble, or shapes differ.
    """
    return _weighted_vote(ensemble.weights, probabilities)


def vote_over_folds(fold_probabilities: Sequence[ArrayLike], *, thresholds: Sequence[Threshold]) -> FoldVote:
    """Majority vote of F folds, each at the threshold of its own validation cases.

    A tie is negative: the outcome needs more than half of the folds. This fits the paper, whose vote of four folds
    raised specificity at the expense of sensitivity. A single model's folds are voted over in the same way.

    Args:
        fold_probabilities: F arrays, each `(N,)` float in [0, 1], of the same cases in the same order.
        thresholds: F thresholds.

    Raises:
        ValueError: there is no fold, numbers of folds differ, or numbers of cases do.
    """
    if not len(fold_probabilities) or len(fold_probabilities) != len(thresholds):
        raise ValueError(f"expected a threshold for each fold, got {len(thresholds)} for {len(fold_probabilities)}")
    folds = _stacked(fold_probabilities)
    votes = np.stack([classify(p, threshold=threshold) for p, threshold in zip(folds, thresholds, strict=True)])
    return FoldVote(2 * votes.sum(axis=0) > len(votes), votes.mean(axis=0), folds.mean(axis=0))


def _vote_weight(probabilities: ArrayLike, labels: ArrayLike) -> VoteWeight:
    cases = cases_of_both_classes(probabilities, labels)
    threshold = choose_threshold(validation_probabilities=cases.probabilities, validation_labels=cases.labels)
    confusion = confusion_of(classify(cases.probabilities, threshold=threshold), cases.labels)
    return VoteWeight(confusion.sensitivity, confusion.specificity)


def _weighted_vote(weights: Mapping[str, VoteWeight], probabilities: Mapping[str, ArrayLike]) -> FloatArray:
    if not weights or set(weights) != set(probabilities):
        raise ValueError(f"expected probabilities of the models {sorted(weights)}, got {sorted(probabilities)}")
    p = _stacked([probabilities[name] for name in weights])
    given_for = np.array([[weight.true_positive_rate] for weight in weights.values()]) * p
    given_against = np.array([[weight.true_negative_rate] for weight in weights.values()]) * (1 - p)
    total = (given_for + given_against).sum(axis=0)
    vote: FloatArray = np.divide(given_for.sum(axis=0), total, out=np.full(total.shape, 0.5), where=total > 0)
    return vote


def _stacked(arrays: Sequence[ArrayLike]) -> FloatArray:
    """`(K, N)` from K arrays of N probabilities."""
    checked = [np.asarray(one, dtype=np.float64) for one in arrays]
    if len({one.shape for one in checked}) != 1 or checked[0].ndim != 1:
        raise ValueError(f"expected (N,) probabilities of the same cases, got {[one.shape for one in checked]}")
    stacked = np.stack(checked)
    if not ((stacked >= 0) & (stacked <= 1)).all():
        raise ValueError("probabilities should be between 0 and 1")
    return stacked
