import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.thresholds import Threshold, choose_threshold, classify

score = st.floats(0, 1) | st.sampled_from([0.25, 0.5, 0.75])
one_class = st.lists(score, min_size=1, max_size=15)


def chosen(probabilities: list[float], labels: list[int]) -> Threshold:
    return choose_threshold(validation_probabilities=probabilities, validation_labels=labels)


def test_middle_of_the_gap_between_the_classes() -> None:
    assert chosen([0.1, 0.4, 0.6, 0.9], [0, 0, 1, 1]) == Threshold(0.5, 1.0)


def test_below_the_lowest_probability_the_gap_begins_at_zero() -> None:
    # All wrong way round: nothing beats calling all positive, J = 0.
    assert chosen([0.2, 0.8], [1, 0]) == Threshold(0.1, 0.0)


def test_of_equally_good_gaps_the_middle_one() -> None:
    # J is ½ below .4, 0 below .5, ½ below .6, 0 below .7, ½ below .8.
    labels = [0, 1, 0, 1, 0, 1]
    result = chosen([0.3, 0.4, 0.5, 0.6, 0.7, 0.8], labels)
    assert result.value == pytest.approx(0.55)
    assert result.validation_youden == pytest.approx(1 / 3)


def test_a_share_of_both_classes_at_one_value_leaves_the_upper_of_two_gaps() -> None:
    # One positive and one negative of two share .5: below .5 and below .8 J is the same ½.
    assert chosen([0.2, 0.5, 0.5, 0.8], [0, 0, 1, 1]).value == pytest.approx(0.65)


@settings(deadline=None, max_examples=100)
@given(one_class, one_class)
def test_no_threshold_is_better(positive: list[float], negative: list[float]) -> None:
    labels = [1] * len(positive) + [0] * len(negative)
    best = chosen(positive + negative, labels)
    false_rate, true_rate, _ = roc_curve(labels, positive + negative, drop_intermediate=False)
    called = classify(positive + negative, threshold=best)
    reached = called[: len(positive)].mean() - called[len(positive) :].mean()
    assert reached == pytest.approx((true_rate - false_rate).max(), abs=1e-9)
    assert best.validation_youden == pytest.approx(reached, abs=1e-9)
    assert 0 <= best.value <= 1


def test_neighbouring_floats_have_no_middle() -> None:
    upper = float(np.nextafter(0.5, 1))
    assert chosen([0.5, upper], [0, 1]).value == upper


def test_at_the_threshold_is_positive() -> None:
    assert classify([0.29, 0.3, 0.31], threshold=Threshold(0.3, 0.0)).tolist() == [False, True, True]


def test_validation_cases_have_to_be_named_as_such() -> None:
    assert {p.kind for p in inspect.signature(choose_threshold).parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}


def test_bad_input() -> None:
    with pytest.raises(NotEnoughCases, match="both classes"):
        chosen([0.1, 0.2], [0, 0])
    with pytest.raises(ValueError, match="between 0 and 1"):
        classify([1.5], threshold=Threshold(0.5, 0.0))
