"""One intercept of a new hospital: it repairs a shift of all logits, and no case has a say in its own."""

import numpy as np
import pytest
from scipy.special import expit, logit

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.calibration import calibration
from fpe_sim.external_validation.recalibration import MOST_PARTS, recalibrated_in_the_large

RNG = np.random.default_rng(7)
LOGITS = RNG.normal(-1, 1, 600)
LABELS = (RNG.random(600) < expit(LOGITS)).astype(int)
PATIENTS = [f"p{i}" for i in range(600)]


def test_a_shift_of_all_logits_is_undone() -> None:
    shifted = expit(LOGITS + 1.5)
    assert calibration(shifted, LABELS).in_the_large.value < -1.2
    repaired = recalibrated_in_the_large(shifted, LABELS, PATIENTS, seed=1)
    assert abs(calibration(repaired, LABELS).in_the_large.value) < 0.05
    assert np.corrcoef(logit(repaired), LOGITS)[0, 1] > 0.99


def test_a_case_has_no_say_in_its_own_shift() -> None:
    p = expit(LOGITS)
    before = recalibrated_in_the_large(p, LABELS, PATIENTS, seed=1)
    changed = p.copy()
    changed[0] = 0.999
    after = recalibrated_in_the_large(changed, LABELS, PATIENTS, seed=1)
    shift_before, shift_after = logit(before) - logit(p), logit(after) - logit(changed)
    own_part = np.isclose(shift_before, shift_before[0], rtol=0, atol=1e-9)
    assert np.allclose(shift_after[own_part], shift_before[own_part], atol=1e-6)
    assert not np.isclose(shift_after[~own_part], shift_before[~own_part], rtol=0, atol=1e-6).any()
    assert len(np.unique(np.round(shift_before, 9))) == MOST_PARTS


def test_all_cases_of_a_patient_are_shifted_alike() -> None:
    patients = [f"p{i // 3}" for i in range(600)]
    shift = logit(recalibrated_in_the_large(expit(LOGITS), LABELS, patients, seed=2)) - LOGITS
    assert np.allclose(shift.reshape(-1, 3), shift.reshape(-1, 3)[:, :1], atol=1e-9)


def test_one_patient_of_a_class_is_too_few() -> None:
    with pytest.raises(NotEnoughCases):
        recalibrated_in_the_large([0.2, 0.4, 0.6], [1, 0, 0], ["a", "b", "c"], seed=0)
