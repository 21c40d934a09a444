"""The flat array and its layout: round trips, arithmetic, and everything that does not fit."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpe_core.errors import StateMismatch, StateUnreadable
from fpe_core.state import FlatState, Layout, TensorEntry

LAYOUT = Layout(
    (
        TensorEntry("conv.weight", (2, 3), "float32", "stem"),
        TensorEntry("bn.num_batches_tracked", (), "int64", "norm"),
        TensorEntry("head.bias", (2,), "float32", "head"),
    )
)
ENTRIES = st.builds(
    TensorEntry,
    name=st.text(min_size=1, max_size=20),
    shape=st.lists(st.integers(0, 9), max_size=4).map(tuple),
    dtype=st.sampled_from(["float32", "int64"]),
    block=st.text(max_size=10),
)


def state(*values: float) -> FlatState:
    return FlatState(LAYOUT, np.array(values, dtype=np.float32))


@given(st.lists(ENTRIES, max_size=6, unique_by=lambda entry: entry.name))
def test_any_layout_survives_its_json(entries: list[TensorEntry]) -> None:
    layout = Layout(tuple(entries))
    back = Layout.from_json(layout.to_json())
    assert back == layout
    assert back.fingerprint == layout.fingerprint
    assert back.size == sum(int(np.prod(entry.shape)) for entry in entries)


def test_a_scalar_counts_one_element() -> None:
    assert LAYOUT.size == 9
    assert TensorEntry("n", (), "int64", "norm").size == 1
    assert TensorEntry("n", (3, 0), "float32", "norm").size == 0


def test_the_fingerprint_tells_order_shape_dtype_and_block_apart() -> None:
    first, second, third = LAYOUT.entries
    others = [
        (second, first, third),
        (TensorEntry("conv.weight", (3, 2), "float32", "stem"), second, third),
        (TensorEntry("conv.weight", (2, 3), "int64", "stem"), second, third),
        (TensorEntry("conv.weight", (2, 3), "float32", "head"), second, third),
        (first, second),
    ]
    prints = {Layout(entries).fingerprint for entries in others}
    assert len(prints | {LAYOUT.fingerprint}) == 6


ROW = {"name": "w", "shape": [2], "dtype": "float32", "block": "b"}


@pytest.mark.parametrize(
    "rows",
    [
        {"w": ROW},
        [ROW | {"shape": [-1]}],
        [ROW, ROW],
        [ROW | {"dtype": "float64"}],
        [ROW | {"path": "/data/patient"}],
        [ROW | {"shape": ["2"]}],
        [ROW | {"shape": [2.0]}],
        [{k: v for k, v in ROW.items() if k != "block"}],
    ],
    ids=["dict", "negative", "twice", "dtype", "foreign key", "text for a size", "float for a size", "no block"],
)
def test_a_layout_that_is_not_one_is_refused(rows: object) -> None:
    with pytest.raises(StateUnreadable):
        Layout.from_json(json.dumps(rows))


def test_a_layout_that_is_not_json_is_refused() -> None:
    with pytest.raises(StateUnreadable):
        Layout.from_json("[{")


def test_tensors_are_views_in_the_layouts_order() -> None:
    flat = state(*range(9))
    np.testing.assert_array_equal(flat["conv.weight"], [[0, 1, 2], [3, 4, 5]])
    assert flat["bn.num_batches_tracked"].shape == ()
    np.testing.assert_array_equal(flat["head.bias"], [7, 8])
    flat["head.bias"][0] = 70
    assert flat.values[7] == 70
    with pytest.raises(KeyError, match=r"tail\.bias"):
        flat["tail.bias"]


@pytest.mark.parametrize(
    "values",
    [np.zeros(8, np.float32), np.zeros(10, np.float32), np.zeros((9, 1), np.float32), np.zeros(9, np.float64)],
    ids=["short", "long", "two axes", "float64"],
)
def test_an_array_that_does_not_fit_its_layout_is_refused(values: np.ndarray) -> None:
    with pytest.raises(StateMismatch, match=r"float32 of 9 elements, got float(32|64) of shape"):
        FlatState(LAYOUT, values)


def test_plus_undoes_minus() -> None:
    first, second = state(*range(9)), state(*range(9, 0, -1))
    np.testing.assert_array_equal(first.minus(second).values, np.arange(9) - np.arange(9, 0, -1))
    np.testing.assert_array_equal(second.plus(first.minus(second)).values, first.values)
    np.testing.assert_array_equal(first.values, np.arange(9))


def test_states_of_two_layouts_are_not_mixed() -> None:
    flat = state(*range(9))
    other = FlatState(Layout(LAYOUT.entries[::-1]), flat.values)
    with pytest.raises(StateMismatch):
        flat.plus(other)
    with pytest.raises(StateMismatch):
        flat.minus(other)
