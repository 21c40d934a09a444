import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpe_core.evaluation.suppression import rows_to_suppress


def test_nothing_small_nothing_held_back() -> None:
    assert rows_to_suppress([[5, 9], [8, 5]], minimum=5).tolist() == [False, False]


def test_a_small_row_takes_the_smallest_other_with_it() -> None:
    assert rows_to_suppress([[50, 50], [4, 30], [9, 20], [8, 20]], minimum=5).tolist() == [False, True, False, True]


@pytest.mark.parametrize("column", [0, 1])
def test_either_class_counts_and_so_does_zero(column: int) -> None:
    counts = np.array([[20, 20], [20, 20], [20, 30]])
    counts[1, column] = 0
    assert rows_to_suppress(counts, minimum=5).tolist() == [True, True, False]


def test_two_small_rows_take_one_with_them_too() -> None:
    assert rows_to_suppress([[2, 30], [1, 30], [40, 40], [50, 50]], minimum=5).tolist() == [True, True, True, False]


def test_rows_of_one_size_share_their_lot() -> None:
    assert rows_to_suppress([[1, 9], [10, 20], [15, 15], [20, 20]], minimum=5).tolist() == [True, True, True, False]


def test_a_small_total_is_held_back_whole() -> None:
    assert rows_to_suppress([[1, 2], [1, 9]], minimum=5).all()
    assert rows_to_suppress([[1, 9]], minimum=5).all()


tables = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=6)


@settings(deadline=None, max_examples=200)
@given(tables, st.integers(1, 6))
def test_what_is_missing_from_the_total_is_never_small_nor_one_row(rows: list[tuple[int, int]], minimum: int) -> None:
    table = np.array(rows)
    hidden = rows_to_suppress(table, minimum=minimum)
    assert (table[~hidden] >= minimum).all()
    if hidden.any() and not hidden.all():
        assert hidden.sum() >= 2
        assert (table[hidden].sum(axis=0) >= minimum).all()
    if (table >= minimum).all():
        assert not hidden.any()


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 8), min_size=2, max_size=4), st.integers(1, 4))
def test_subtraction_leaves_more_than_one_possibility(counts: list[int], minimum: int) -> None:
    """Whoever knows the total and the rule still has several values for every hidden count, a large one among them."""
    table = np.array(counts)[:, None]
    hidden = rows_to_suppress(table, minimum=minimum)
    rest, places = int(table[hidden].sum()), np.flatnonzero(hidden)
    if hidden.all() or not hidden.any():
        return
    possible = []
    for values in itertools.product(range(rest + 1), repeat=len(places)):
        guess = table.copy()
        guess[places, 0] = values
        if sum(values) == rest and (rows_to_suppress(guess, minimum=minimum) == hidden).all():
            possible.append(values)
    assert tuple(table[hidden, 0]) in possible
    for row in range(len(places)):
        found = {values[row] for values in possible}
        assert min(found) < minimum <= max(found)


@pytest.mark.parametrize(("counts", "minimum"), [([1, 2], 5), ([[-1]], 5), ([[1]], 0)])
def test_bad_input(counts: list, minimum: int) -> None:
    with pytest.raises(ValueError, match="counts from 0 and a minimum from 1"):
        rows_to_suppress(counts, minimum=minimum)
