import numpy as np
import pytest

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.shares import share_of


@pytest.mark.parametrize(("count", "total"), [(0, 5), (5, 5), (3, 16), (81, 263), (1, 1)])
def test_interval_is_wilsons(count: int, total: int) -> None:
    """Its ends are the shares whose normal test the observed share just passes (Wilson 1927)."""
    share, z = share_of(count, total), 1.959963984540054
    root = np.roots([1 + z**2 / total, -(2 * count / total + z**2 / total), (count / total) ** 2])
    assert share.value == count / total
    assert (share.low, share.high) == pytest.approx(sorted(root.real), abs=1e-7)
    assert 0 <= share.low <= share.high <= 1


def test_published_interval() -> None:
    # Newcombe, Stat Med 1998, table I, method 3: 81 of 263 gives .2553 to .3662; 15 of 148 gives .0624 to .1605.
    assert (share_of(81, 263).low, share_of(81, 263).high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert (share_of(15, 148).low, share_of(15, 148).high) == pytest.approx((0.0624, 0.1605), abs=5e-5)


@pytest.mark.parametrize("total", [3, 6, 10, 12, 100])
def test_the_interval_holds_the_share_even_at_its_bounds(total: int) -> None:
    assert share_of(0, total).low == 0
    assert share_of(total, total).high == 1


def test_a_higher_level_is_wider() -> None:
    assert share_of(3, 10, level=0.99).low < share_of(3, 10, level=0.9).low


def test_impossible_shares() -> None:
    with pytest.raises(NotEnoughCases, match="at least one case"):
        share_of(0, 0)
    with pytest.raises(ValueError, match="between 0 and 3"):
        share_of(4, 3)
