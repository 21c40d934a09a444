"""The average of updates: numbers by hand, and what must change nothing."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpe_core.aggregation import SiteUpdate, weighted_average
from fpe_core.errors import UpdateWeightInvalid
from fpe_core.state import FlatState, Layout, TensorEntry

LAYOUT = Layout((TensorEntry("w", (2, 2), "float32", "head"), TensorEntry("b", (1,), "float32", "head")))
FLOATS = st.floats(-1e3, 1e3, width=32)
DELTAS = st.lists(FLOATS, min_size=LAYOUT.size, max_size=LAYOUT.size)
COHORTS = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.tuples(DELTAS, st.integers(1, 10_000)))


def update(values: list[float], num_cases: int) -> SiteUpdate:
    return SiteUpdate(FlatState(LAYOUT, np.array(values, dtype=np.float32)), num_cases)


def test_sites_weigh_as_many_cases_as_they_have() -> None:
    updates = {"north": update([4, 0, 0, -8, 1], 30), "south": update([0, 4, 0, 8, 1], 10)}
    mean = weighted_average(updates)
    assert mean.layout == LAYOUT
    assert mean.values.dtype == np.float32
    np.testing.assert_array_equal(mean.values, np.float32([3, 1, 0, -4, 1]))


def test_one_site_alone_is_its_own_average() -> None:
    values = [0.1, -3.7e-5, 2e20, 1.0, 0.0]
    np.testing.assert_array_equal(weighted_average({"north": update(values, 7)}).values, np.float32(values))


def test_small_changes_are_not_lost_beside_large_ones() -> None:
    """In float32, 1e8 + 1 − 1e8 is 0."""
    updates = {"a": update([1e8] * 5, 1), "b": update([3] * 5, 1), "c": update([-1e8] * 5, 1)}
    np.testing.assert_allclose(weighted_average(updates).values, 1.0, rtol=1e-6)


@given(st.dictionaries(st.sampled_from("abcd"), st.tuples(DELTAS, st.integers(1, 10_000)), min_size=1))
def test_the_order_of_arrival_changes_no_bit(cohort: dict[str, tuple[list[float], int]]) -> None:
    results = {
        weighted_average({site: update(*cohort[site]) for site in order}).values.tobytes()
        for order in permutations(cohort)
    }
    assert len(results) == 1


def test_the_order_changes_nothing_even_where_sums_cancel() -> None:
    """In float64 too, 1e30 + 1 − 1e30 is 0, and 1e30 − 1e30 + 1 is 1."""
    cohort = {"a": update([1e30] * 5, 1), "b": update([4] * 5, 1), "c": update([-1e30] * 5, 1), "d": update([0] * 5, 1)}
    results = {
        weighted_average({site: cohort[site] for site in order}).values.tobytes() for order in permutations("abcd")
    }
    assert len(results) == 1


@given(COHORTS.filter(bool), st.integers(1, 10_000), st.data())
def test_a_site_split_in_two_changes_nothing(
    cohort: dict[str, tuple[list[float], int]], extra: int, data: st.DataObject
) -> None:
    """Two sites with one delta and n₁ + n₂ cases weigh what one site with all the cases does."""
    site = data.draw(st.sampled_from(sorted(cohort)))
    delta, num_cases = cohort[site]
    whole = {**cohort, site: (delta, num_cases + extra)}
    halves = {**cohort, f"{site}-annex": (delta, extra)}
    one, two = (
        weighted_average({name: update(*entry) for name, entry in each.items()}).values for each in (whole, halves)
    )
    np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-4)


@given(COHORTS.filter(bool))
def test_an_average_lies_between_its_parts(cohort: dict[str, tuple[list[float], int]]) -> None:
    mean = weighted_average({site: update(*entry) for site, entry in cohort.items()}).values
    deltas = np.array([delta for delta, _ in cohort.values()])
    assert (mean >= deltas.min(axis=0) - 1e-3).all()
    assert (mean <= deltas.max(axis=0) + 1e-3).all()


def test_nothing_has_no_average() -> None:
    with pytest.raises(UpdateWeightInvalid):
        weighted_average({})
