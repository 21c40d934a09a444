"""Recalibration in the large at a new hospital: one number added to all logits, and nothing else."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from fpe_core.evaluation.calibration import SMALLEST_PROBABILITY, calibration
from fpe_core.evaluation.cases import FloatArray, cases_of_both_classes


def recalibrated_in_the_large(probabilities: ArrayLike, labels: ArrayLike) -> FloatArray:
    """Shift all logits so that as many cases are expected as there were (Steyerberg et al., Stat Med 2004).

    The shift is fitted to the same cases. With one number for all of them there is little to overfit, and who ranks
    above whom stays. A shift fitted to each fifth's other four fifths would differ between the fifths and disturb the
    ranks of a model whose probabilities lie close together.

    Args:
        probabilities: `(N,)` float in [0, 1].
        labels: `(N,)` 0 or 1.

    Returns:
        `(N,)` float64 in (0, 1), in the order of the ranks that they had.

    Raises:
        NotEnoughCases: a class has no case.
    """
    cases = cases_of_both_classes(probabilities, labels)
    logits = logit(np.clip(cases.probabilities, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY))
    shifted: FloatArray = expit(logits + calibration(cases.probabilities, cases.labels).in_the_large.value)
    return shifted
