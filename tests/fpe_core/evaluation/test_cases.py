import numpy as np
import pytest

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.cases import binary_labels, cases_of_both_classes, predicted_cases


def test_cases_are_counted_by_class() -> None:
    cases = cases_of_both_classes([0.1, 0.9, 0.5], [0, 1, 0])
    assert (cases.num_positive, cases.num_negative) == (1, 2)
    assert cases.labels.dtype == np.bool_
    assert cases.probabilities.dtype == np.float64


@pytest.mark.parametrize("wrong", [-0.01, 1.01, float("nan"), float("inf")])
def test_what_is_no_probability_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        predicted_cases([0.5, wrong], [0, 1])


@pytest.mark.parametrize("labels", [[0, 2], [[0, 1]], [0.5, 1]])
def test_labels_are_zero_or_one(labels: list) -> None:
    with pytest.raises(ValueError, match="labels should be"):
        binary_labels(labels)


def test_lengths_agree() -> None:
    with pytest.raises(ValueError, match="as many as the labels"):
        predicted_cases([0.5], [0, 1])


def test_no_case_at_all() -> None:
    with pytest.raises(NotEnoughCases, match="at least one"):
        predicted_cases([], [])


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_is_not_enough(label: int) -> None:
    with pytest.raises(NotEnoughCases, match=f"{2 * label} positive and {2 - 2 * label} negative"):
        cases_of_both_classes([0.2, 0.3], [label, label])
