from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.decision_curve import decision_curve


@pytest.mark.parametrize("digits", [1, 12])
def test_net_benefit_is_that_of_the_confusion_matrix(digits: int, drawn_cases: Callable) -> None:
    p, labels = drawn_cases(1, 120, digits=digits)
    curve = decision_curve(p, labels)
    assert len(curve.thresholds) == 99
    for t, model, treat_all in zip(curve.thresholds, curve.model, curve.treat_all, strict=True):
        (_, fp), (_, tp) = confusion_matrix(labels, p >= t)
        assert model == pytest.approx(tp / 120 - fp / 120 * t / (1 - t), abs=1e-12)
        prevalence = labels.mean()
        assert treat_all == pytest.approx(prevalence - (1 - prevalence) * t / (1 - t), abs=1e-12)


def test_by_hand() -> None:
    curve = decision_curve([0.9, 0.6, 0.4, 0.1], [1, 0, 1, 0], thresholds=[0.2, 0.5, 0.75])
    np.testing.assert_allclose(curve.model, [2 / 4 - 1 / 4 * 0.25, 0, 1 / 4])
    np.testing.assert_allclose(curve.treat_all, [0.5 - 0.5 * 0.25, 0, 0.5 - 0.5 * 3])


def test_treating_all_is_worth_nothing_at_the_prevalence() -> None:
    curve = decision_curve([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0], thresholds=[0.25, 0.51])
    np.testing.assert_allclose(curve.treat_all[0], 0, atol=1e-12)
    assert curve.model[0] == curve.treat_all[0]
    assert curve.model[1] == 0


def test_a_model_that_knows_gains_the_prevalence_everywhere() -> None:
    np.testing.assert_allclose(decision_curve([1, 1, 0, 0, 0], [1, 1, 0, 0, 0]).model, 0.4)


@pytest.mark.parametrize("thresholds", [[0.0], [1.0], [[0.5]], [float("nan")]])
def test_thresholds_that_are_none(thresholds: list) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        decision_curve([0.1, 0.9], [0, 1], thresholds=thresholds)


def test_one_class_is_refused() -> None:
    with pytest.raises(NotEnoughCases, match="both classes"):
        decision_curve([0.1, 0.9], [1, 1])
