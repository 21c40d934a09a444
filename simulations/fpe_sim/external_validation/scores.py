"""Everything that is said about a locked ensemble on one set of cases."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fpe_core.evaluation.calibration import Calibration, calibration
from fpe_core.evaluation.cases import FloatArray, cases_of_both_classes, fewest_of_a_class
from fpe_core.evaluation.classification import Confusion, confusion_of
from fpe_core.evaluation.delong import delong_interval
from fpe_core.evaluation.discrimination import PredictionScores, prediction_scores
from fpe_core.evaluation.folds import MeanSd, summarise_folds
from fpe_core.evaluation.reliability import ReliabilityBin, expected_calibration_error, reliability_bins
from fpe_core.evaluation.scores import AucInterval
from fpe_core.evaluation.shares import Share
from fpe_core.evaluation.thresholds import Threshold, classify

NUM_BINS = 5
"""Of every reliability diagram and calibration error here, few, because a home test cohort is small."""
_RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A number with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class SetScores:
    """An ensemble on one set of cases, at its locked threshold.

    Attributes:
        probabilities: `(N,)` float64.
        labels: `(N,)` int64.
        auc: with DeLong's interval.
        sensitivity, specificity: with Wilson's.
        f1: with a bootstrap interval.
        calibration: slope, intercept, Brier score.
        bins: of the reliability diagram.
        calibration_error: expected, over these bins.
    """

    probabilities: FloatArray
    labels: FloatArray
    auc: AucInterval
    sensitivity: Share
    specificity: Share
    f1: Interval
    calibration: Calibration
    bins: tuple[ReliabilityBin, ...]
    calibration_error: float

    @property
    def num_cases(self) -> int:
        """All cases."""
        return len(self.labels)

    @property
    def num_positive(self) -> int:
        """Those with the outcome."""
        return int(self.labels.sum())


def set_scores(probabilities: ArrayLike, labels: ArrayLike, *, threshold: float, seed: int) -> SetScores | None:
    """Score an ensemble; None where a class has fewer than two cases.

    Args:
        probabilities: `(N,)` float in [0, 1].
        labels: `(N,)` 0 or 1.
        threshold: locked before.
        seed: of the resamples.
    """
    if fewest_of_a_class(labels) < 2:
        return None
    cases = cases_of_both_classes(probabilities, labels)
    confusion = confusion_of(classify(cases.probabilities, threshold=_as_threshold(threshold)), cases.labels)
    bins = reliability_bins(cases.probabilities, cases.labels, num_bins=NUM_BINS)
    return SetScores(
        probabilities=cases.probabilities,
        labels=np.asarray(labels, dtype=np.float64),
        auc=delong_interval(cases.probabilities, cases.labels),
        sensitivity=confusion.sensitivity_interval(),
        specificity=confusion.specificity_interval(),
        f1=f1_interval(confusion, seed=seed),
        calibration=calibration(cases.probabilities, cases.labels),
        bins=bins,
        calibration_error=expected_calibration_error(bins),
    )


def f1_interval(confusion: Confusion, *, seed: int) -> Interval:
    """F1 with a percentile bootstrap interval: resampling cases is drawing their four counts anew."""
    counts = np.array([confusion.true_positive, confusion.false_positive, confusion.false_negative])
    rest = confusion.num_cases - counts.sum()
    shares = np.append(counts, rest) / confusion.num_cases
    drawn = np.random.default_rng(seed).multinomial(confusion.num_cases, shares, size=_RESAMPLES)
    found, wrong = 2 * drawn[:, 0], drawn[:, 1] + drawn[:, 2]
    # A resample without a positive case and without a call finds nothing: 0, the least favourable reading.
    f1 = np.divide(found, found + wrong, out=np.zeros(len(drawn)), where=found + wrong > 0)
    low, high = np.quantile(f1, [0.025, 0.975])
    return Interval(confusion.f1, min(float(low), confusion.f1), max(float(high), confusion.f1))


def fold_scores(
    predictions: Sequence[tuple[ArrayLike, ArrayLike]], thresholds: Sequence[float]
) -> dict[str, MeanSd | None]:
    """Mean (SD) over the single models, each at its own threshold; empty where a class has no case.

    Args:
        predictions: probabilities and labels, for each fold.
        thresholds: of each fold.
    """
    scores: list[PredictionScores] = []
    for (probabilities, labels), threshold in zip(predictions, thresholds, strict=True):
        y = np.asarray(labels)
        if 0 < y.sum() < len(y):
            scores.append(prediction_scores(probabilities, labels, threshold=_as_threshold(threshold)))
    return summarise_folds(scores) if scores else {}


def _as_threshold(value: float) -> Threshold:
    # The gain on validation cases plays no part where a threshold is applied.
    return Threshold(value, 0.0)
