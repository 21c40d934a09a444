from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.calibration import SMALLEST_PROBABILITY, calibration


def test_slope_and_intercept_are_those_of_another_solver(drawn_cases: Callable) -> None:
    p, labels = drawn_cases(1, 300)
    result = calibration(p, labels)
    other = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit(p)[:, None], labels)
    assert result.slope is not None
    assert result.intercept is not None
    assert result.slope.value == pytest.approx(other.coef_[0, 0], abs=1e-5)
    assert result.intercept.value == pytest.approx(other.intercept_[0], abs=1e-5)


def test_in_the_large_is_statsmodels_with_an_offset(drawn_cases: Callable) -> None:
    p, labels = drawn_cases(2, 200)
    result = calibration(p, labels, level=0.9).in_the_large
    fit = GLM(labels.astype(float), np.ones((200, 1)), family=Binomial(), offset=logit(p)).fit()
    assert result.value == pytest.approx(fit.params[0], abs=1e-8)
    assert (result.low, result.high) == pytest.approx(tuple(fit.conf_int(alpha=0.1)[0]), abs=1e-6)


def test_a_known_distortion_is_found() -> None:
    draw = np.random.default_rng(3)
    logits = draw.normal(-0.5, 1.2, size=20_000)
    labels = draw.random(20_000) < expit(logits)
    true = calibration(expit(logits), labels)
    distorted = calibration(expit(2 * logits + 1), labels)
    for estimate, ideal in ((true.slope, 1), (true.intercept, 0), (true.in_the_large, 0)):
        assert estimate is not None
        assert estimate.low <= ideal <= estimate.high
    assert distorted.slope is not None
    assert distorted.intercept is not None
    # logit = (distorted logit − 1) / 2
    assert distorted.slope.value == pytest.approx(0.5, abs=0.02)
    assert distorted.intercept.value == pytest.approx(-0.5, abs=0.05)
    assert distorted.in_the_large.high < 0


def test_brier_and_skill_by_hand() -> None:
    result = calibration([0.8, 0.4, 0.4, 0.2], [1, 1, 0, 0])
    assert result.brier == pytest.approx((0.04 + 0.36 + 0.16 + 0.04) / 4)
    assert result.brier_skill == pytest.approx(1 - 0.15 / 0.25)


def test_the_prevalence_has_no_skill() -> None:
    result = calibration([0.25] * 8, [1, 1, 0, 0, 0, 0, 0, 0])
    assert result.brier_skill == pytest.approx(0)
    assert (result.slope, result.intercept) == (None, None)
    assert result.in_the_large.value == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]),
        ([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0]),
        ([0.1, 0.5, 0.5, 0.9], [0, 0, 1, 1]),
    ],
    ids=["right", "wrong way round", "touching"],
)
def test_classes_that_do_not_overlap_have_no_slope(probabilities: list[float], labels: list[int]) -> None:
    result = calibration(probabilities, labels)
    assert (result.slope, result.intercept) == (None, None)
    assert result.in_the_large.value == pytest.approx(0, abs=1e-9)


def test_certainty_is_cut_before_the_logit() -> None:
    cut = [SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY, 0.3, 0.7, 1 - SMALLEST_PROBABILITY]
    labels = [1, 1, 0, 1, 0]
    certain, nearly = calibration([0, 1, 0.3, 0.7, 1], labels), calibration(cut, labels)
    assert (certain.slope, certain.in_the_large) == (nearly.slope, nearly.in_the_large)
    assert certain.brier == pytest.approx((1 + 0.09 + 0.09 + 1) / 5)


@settings(deadline=None, max_examples=80)
@given(
    st.lists(
        st.tuples(st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0]), st.booleans()), min_size=2, max_size=25
    ).filter(lambda cases: len({label for _, label in cases}) == 2)
)
def test_in_the_large_expects_as_many_cases_as_there_were(cases: list[tuple[float, bool]]) -> None:
    p, labels = (np.array(column) for column in zip(*cases, strict=True))
    shift = calibration(p, labels).in_the_large.value
    cut = np.clip(p.astype(float), SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    assert expit(logit(cut) + shift).sum() == pytest.approx(labels.sum(), abs=1e-6)


def test_one_class_is_refused() -> None:
    with pytest.raises(NotEnoughCases, match="both classes"):
        calibration([0.2, 0.3], [1, 1])
