import numpy as np
import pytest
from scipy.stats import binomtest, chi2

from fpe_core.evaluation.mcnemar import McNemar, mcnemar_test


def discordant(only_first: int, only_second: int, *, both: int = 7, neither: int = 4) -> McNemar:
    """The test on cases that give these counts; a right call is 1 on a positive or 0 on a negative case, in turn."""
    first = np.repeat([1, 1, 0, 0], [both, only_first, only_second, neither])
    second = np.repeat([1, 0, 1, 0], [both, only_first, only_second, neither])
    labels = np.arange(len(first)) % 2
    return mcnemar_test(first_called=first == labels, second_called=second == labels, labels=labels)


@pytest.mark.parametrize(("only_first", "only_second"), [(13, 12), (26, 8), (8, 26), (0, 25), (45, 18)])
def test_many_discordant_pairs(only_first: int, only_second: int) -> None:
    result = discordant(only_first, only_second)
    statistic = (abs(only_first - only_second) - 1) ** 2 / (only_first + only_second)
    assert (result.only_first_right, result.only_second_right) == (only_first, only_second)
    assert result.statistic == pytest.approx(statistic)
    assert result.p_value == pytest.approx(chi2.sf(statistic, df=1))
    assert not result.exact


@pytest.mark.parametrize(("only_first", "only_second"), [(12, 12), (20, 4), (1, 0), (0, 24)])
def test_few_discordant_pairs_are_exact(only_first: int, only_second: int) -> None:
    result = discordant(only_first, only_second)
    assert result.exact
    assert result.p_value == pytest.approx(binomtest(only_first, only_first + only_second).pvalue)


def test_no_discordant_pair() -> None:
    result = discordant(0, 0)
    assert (result.statistic, result.uncorrected_statistic, result.p_value) == (None, None, 1)


def test_published_statistics_can_be_had_from_the_papers_test_set_without_correction_only() -> None:
    """Vall d'Hebron prints 9.53 (p = .002) and 11.57 (p < .001); its test set has 118 cases."""
    a_against_b = discordant(26, 8)
    assert a_against_b.uncorrected_statistic == pytest.approx(9.53, abs=0.005)
    assert chi2.sf(9.53, df=1) == pytest.approx(0.002, abs=5e-5)
    b_against_c = discordant(45, 18)
    assert b_against_c.uncorrected_statistic == pytest.approx(11.57, abs=0.005)
    assert chi2.sf(11.57, df=1) < 0.001


def test_pairs_that_agree_do_not_count() -> None:
    assert discordant(18, 9, both=0, neither=50) == discordant(18, 9, both=60, neither=0)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="as many as the labels"):
        mcnemar_test(first_called=[1, 0], second_called=[1], labels=[1, 0])
    with pytest.raises(ValueError, match="0 and 1"):
        mcnemar_test(first_called=[0.3, 0], second_called=[1, 0], labels=[1, 0])
