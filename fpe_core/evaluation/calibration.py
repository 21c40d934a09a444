"""Whether probabilities mean what they say: recalibration slope and intercept, Brier score and skill."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.metrics import brier_score_loss
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from fpe_core.evaluation.cases import BoolArray, FloatArray, cases_of_both_classes

SMALLEST_PROBABILITY = 1e-6
"""Before the logit, probabilities are cut to [this, 1 − this]: the logit of 0 and 1 is infinite."""


@dataclass(frozen=True)
class Estimate:
    """A fitted coefficient with the ends of its Wald confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """Calibration of one model on one set of cases.

    Attributes:
        slope: of the outcome on the logit of the probability. 1 is ideal; below 1 the probabilities are too extreme.
            None where no finite slope fits best: the classes do not overlap, or all probabilities are equal.
        intercept: of the same regression; None together with `slope`.
        in_the_large: intercept with the slope fixed at 1. 0 is ideal; below 0 the probabilities are too high.
        brier: mean squared distance of probability and outcome, in [0, 1]; 0 is ideal.
        brier_skill: 1 − Brier / Brier of predicting the prevalence for everybody. 0 is no gain, 1 ideal.
    """

    slope: Estimate | None
    intercept: Estimate | None
    in_the_large: Estimate
    brier: float
    brier_skill: float


def calibration(probabilities: ArrayLike, labels: ArrayLike, *, level: float = 0.95) -> Calibration:
    """Logistic recalibration (Cox, Biometrika 1958; Van Calster et al., J Clin Epidemiol 2016) and the Brier score.

    Args:
        probabilities: `(N,)` float in [0, 1].
        labels: `(N,)` 0 or 1.
        level: coverage of the intervals, in (0, 1).

    Raises:
        NotEnoughCases: a class has no case.
    """
    cases = cases_of_both_classes(probabilities, labels)
    p, outcome = cases.probabilities, cases.labels.astype(np.float64)
    logits = logit(np.clip(p, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY))
    intercept, slope = (
        _recalibration(logits, outcome, level) if _classes_overlap(logits, cases.labels) else (None, None)
    )
    brier, prevalence = float(brier_score_loss(outcome, p)), float(outcome.mean())
    return Calibration(
        slope=slope,
        intercept=intercept,
        in_the_large=_in_the_large(logits, outcome, level),
        brier=brier,
        brier_skill=1 - brier / (prevalence * (1 - prevalence)),
    )


def _classes_overlap(logits: FloatArray, labels: BoolArray) -> bool:
    """Whether a logistic regression on one variable has a finite solution (Albert & Anderson, Biometrika 1984)."""
    positive, negative = logits[labels], logits[~labels]
    return bool(negative.max() > positive.min() and positive.max() > negative.min())


def _recalibration(logits: FloatArray, outcome: FloatArray, level: float) -> tuple[Estimate, Estimate]:
    """Intercept and slope of the outcome on the logit."""
    result = GLM(outcome, np.column_stack([np.ones_like(logits), logits]), family=Binomial()).fit()
    intercept, slope = zip(result.params, result.conf_int(alpha=1 - level), strict=True)
    return _estimate(*intercept), _estimate(*slope)


def _in_the_large(logits: FloatArray, outcome: FloatArray, level: float) -> Estimate:
    """The shift of all logits with which as many cases are expected as there were.

    This is the maximum of the likelihood. Newton's steps overshoot it when the probabilities are near 0 and 1.
    """
    reach = float(np.abs(logits).max()) + abs(float(logit(outcome.mean()))) + 1
    shift = float(brentq(lambda a: float((expit(logits + a) - outcome).sum()), -reach, reach, xtol=1e-12))
    expected = expit(logits + shift)
    error = 1 / float(np.sqrt((expected * (1 - expected)).sum()))
    width = float(norm.ppf(0.5 + level / 2)) * error
    return Estimate(shift, shift - width, shift + width)


def _estimate(value: float, interval: FloatArray) -> Estimate:
    return Estimate(float(value), float(interval[0]), float(interval[1]))
