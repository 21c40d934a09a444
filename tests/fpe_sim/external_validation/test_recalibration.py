"""One intercept of a new hospital: it repairs a shift of all logits and leaves the ranks."""

import numpy as np
import pytest
from scipy.special import expit, logit

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.calibration import calibration
from fpe_sim.external_validation.recalibration import recalibrated_in_the_large

RNG = np.random.default_rng(7)
LOGITS = RNG.normal(-1, 1, 600)
LABELS = (RNG.random(600) < expit(LOGITS)).astype(int)


def test_a_shift_of_all_logits_is_undone() -> None:
    shifted = expit(LOGITS + 1.5)
    assert calibration(shifted, LABELS).in_the_large.value < -1.2
    repaired = recalibrated_in_the_large(shifted, LABELS)
    assert repaired.sum() == pytest.approx(LABELS.sum())
    moved = logit(repaired) - LOGITS
    assert np.ptp(moved) < 1e-9
    assert abs(moved[0]) < 0.3


def test_certain_probabilities_stay_finite_and_in_order() -> None:
    repaired = recalibrated_in_the_large([0.0, 0.3, 0.6, 1.0], [1, 0, 1, 0])
    assert (np.diff(repaired) > 0).all()
    assert 0 < repaired.min() < repaired.max() < 1


def test_one_class_has_no_intercept() -> None:
    with pytest.raises(NotEnoughCases):
        recalibrated_in_the_large([0.2, 0.4], [0, 0])
