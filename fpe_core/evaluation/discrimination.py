"""All single numbers about one model on one set of cases, as the papers' tables have them."""

from dataclasses import dataclass

from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, brier_score_loss

from fpe_core.evaluation.cases import cases_of_both_classes
from fpe_core.evaluation.classification import confusion_of
from fpe_core.evaluation.metrics import roc_auc
from fpe_core.evaluation.thresholds import Threshold, classify


@dataclass(frozen=True)
class PredictionScores:
    """One row of a results table. Everything but the counts is in [0, 1]; higher is better, except for `brier`.

    Attributes:
        num_cases: all cases.
        num_positive: those with the outcome.
        auc: area under the ROC curve.
        average_precision: area under the precision-recall curve as a sum of steps; guessing gives the prevalence.
        accuracy: share of cases called rightly.
        balanced_accuracy: mean of sensitivity and specificity.
        precision: share of calls that were right; None where no case was called positive.
        sensitivity: share of positive cases found.
        specificity: share of negative cases left alone.
        f1: harmonic mean of precision and sensitivity.
        brier: mean squared distance of probability and outcome.
    """

    num_cases: int
    num_positive: int
    auc: float
    average_precision: float
    accuracy: float
    balanced_accuracy: float
    precision: float | None
    sensitivity: float
    specificity: float
    f1: float
    brier: float


def prediction_scores(probabilities: ArrayLike, labels: ArrayLike, *, threshold: Threshold) -> PredictionScores:
    """Score cases at a threshold that was chosen before (`choose_threshold` on validation cases).

    Args:
        probabilities: `(N,)` float in [0, 1].
        labels: `(N,)` 0 or 1.
        threshold: at and above it a probability is called positive.

    Raises:
        NotEnoughCases: a class has no case.
    """
    cases = cases_of_both_classes(probabilities, labels)
    confusion = confusion_of(classify(cases.probabilities, threshold=threshold), cases.labels)
    return PredictionScores(
        num_cases=confusion.num_cases,
        num_positive=cases.num_positive,
        auc=roc_auc(cases.probabilities, cases.labels),
        average_precision=float(average_precision_score(cases.labels, cases.probabilities)),
        accuracy=confusion.accuracy,
        balanced_accuracy=confusion.balanced_accuracy,
        precision=confusion.precision,
        sensitivity=confusion.sensitivity,
        specificity=confusion.specificity,
        f1=confusion.f1,
        brier=float(brier_score_loss(cases.labels, cases.probabilities)),
    )
