"""What an update must be: each refusal names the site and, where there is one, the tensor."""

import numpy as np
import pytest

from fpe_core.aggregation import check_update
from fpe_core.errors import UpdateKeysWrong, UpdateNonFinite, UpdateRefused, UpdateShapeWrong, UpdateWeightInvalid
from fpe_core.state import FlatState, Layout, TensorEntry

FIRST = TensorEntry("conv.weight", (2, 3), "float32", "stem")
LAST = TensorEntry("head.bias", (2,), "float32", "head")
LAYOUT = Layout((FIRST, LAST))


def update(*entries: TensorEntry) -> FlatState:
    layout = Layout(entries or LAYOUT.entries)
    return FlatState(layout, np.ones(layout.size, dtype=np.float32))


def test_a_good_update_passes() -> None:
    check_update("north", update(), 1, layout=LAYOUT)
    extreme = update()
    extreme.values[:2] = np.finfo(np.float32).max, -np.finfo(np.float32).max
    check_update("north", extreme, 10**9, layout=LAYOUT)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("position", "tensor"), [(0, "conv.weight"), (5, "conv.weight"), (6, "head.bias")])
def test_a_number_that_is_not_finite_is_refused(value: float, position: int, tensor: str) -> None:
    broken = update()
    broken.values[position] = value
    with pytest.raises(UpdateNonFinite, match=f"^north: .+{tensor}"):
        check_update("north", broken, 12, layout=LAYOUT)


def test_a_tensor_too_few_is_refused() -> None:
    with pytest.raises(UpdateKeysWrong, match=r"^north: the update lacks head\.bias"):
        check_update("north", update(FIRST), 12, layout=LAYOUT)


def test_a_tensor_too_many_is_refused() -> None:
    extra = TensorEntry("patient.names", (1,), "float32", "head")
    with pytest.raises(UpdateKeysWrong, match=r"^north: the update has patient\.names"):
        check_update("north", update(FIRST, LAST, extra), 12, layout=LAYOUT)


@pytest.mark.parametrize("shape", [(3, 2), (6,), (2, 4)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    turned = TensorEntry("conv.weight", shape, "float32", "stem")
    with pytest.raises(UpdateShapeWrong, match=r"^north: conv\.weight should have shape \(2, 3\)"):
        check_update("north", update(turned, LAST), 12, layout=LAYOUT)


def test_another_order_or_dtype_is_refused() -> None:
    counter = TensorEntry("head.bias", (2,), "int64", "head")
    for entries in ((LAST, FIRST), (FIRST, counter)):
        with pytest.raises(UpdateRefused, match=r"^north: .*order, dtypes or blocks"):
            check_update("north", update(*entries), 12, layout=LAYOUT)


@pytest.mark.parametrize("num_cases", [0, -3])
def test_an_update_of_no_case_is_refused(num_cases: int) -> None:
    with pytest.raises(UpdateWeightInvalid, match=f"^north: num_cases should be > 0, got {num_cases}"):
        check_update("north", update(), num_cases, layout=LAYOUT)
