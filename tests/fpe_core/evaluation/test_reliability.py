from collections.abc import Callable

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.reliability import expected_calibration_error, reliability_bins
from fpe_core.evaluation.shares import share_of


@pytest.mark.parametrize("digits", [1, 2, 12])
@pytest.mark.parametrize("num_bins", [3, 10])
def test_bins_are_scikit_learns(digits: int, num_bins: int, drawn_cases: Callable) -> None:
    p, labels = drawn_cases(1, 203, digits=digits)
    bins = reliability_bins(p, labels, num_bins=num_bins)
    observed, predicted = calibration_curve(labels, p, n_bins=num_bins, strategy="quantile")
    np.testing.assert_allclose([one.mean_probability for one in bins], predicted)
    np.testing.assert_allclose([one.observed.value for one in bins], observed)


def test_every_case_is_in_one_bin_of_about_the_same_size(drawn_cases: Callable) -> None:
    p, labels = drawn_cases(2, 100)
    bins = reliability_bins(p, labels, num_bins=7)
    sizes = [one.observed.total for one in bins]
    assert sum(sizes) == 100
    assert sum(one.observed.count for one in bins) == labels.sum()
    assert max(sizes) - min(sizes) <= 1
    assert all(one.observed == share_of(one.observed.count, one.observed.total) for one in bins)


def test_error_by_hand() -> None:
    bins = reliability_bins([0.1, 0.3, 0.6, 0.8, 0.8], [0, 1, 1, 1, 0], num_bins=2)
    assert [one.observed.total for one in bins] == [3, 2]
    # |1/3 − 2/3| · 3/5 + |.8 − .5| · 2/5
    assert expected_calibration_error(bins) == pytest.approx(1 / 3 * 3 / 5 + 0.3 * 2 / 5)


def test_equal_probabilities_share_a_bin() -> None:
    (only,) = reliability_bins([0.25] * 8, [1, 1, 0, 0, 0, 0, 0, 0])
    assert only.observed == share_of(2, 8)
    assert expected_calibration_error([only]) == 0


def test_one_class_will_do_but_no_case_will_not() -> None:
    assert reliability_bins([0.2], [1])[0].observed.value == 1
    with pytest.raises(NotEnoughCases, match="at least one case"):
        reliability_bins([], [])
    with pytest.raises(ValueError, match="num_bins should be at least 1"):
        reliability_bins([0.2], [1], num_bins=0)
