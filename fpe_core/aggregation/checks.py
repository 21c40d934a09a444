"""What an update must be before it may touch the global model."""

import numpy as np

from fpe_core.errors import UpdateKeysWrong, UpdateNonFinite, UpdateRefused, UpdateShapeWrong, UpdateWeightInvalid
from fpe_core.state import FlatState, Layout


def check_update(site: str, update: FlatState, num_cases: int, *, layout: Layout) -> None:
    """Refuse an update that does not fit the global model.

    Args:
        site: name of the site, for the error.
        update: trained weights minus received weights.
        num_cases: training cases it stands for.
        layout: the global model's layout.

    Raises:
        UpdateRefused: names the site and, where there is one, the tensor.
    """
    _check_layout(site, update.layout, layout)
    if num_cases < 1:
        raise UpdateWeightInvalid(f"{site}: num_cases should be > 0, got {num_cases}")
    if not np.isfinite(update.values).all():
        raise UpdateNonFinite(f"{site}: NaN or infinite values in {_first_nonfinite(update)}")


def _check_layout(site: str, got: Layout, expected: Layout) -> None:
    if got == expected:
        return
    shapes, expected_shapes = ({e.name: e.shape for e in layout.entries} for layout in (got, expected))
    for name in expected_shapes.keys() - shapes.keys():
        raise UpdateKeysWrong(f"{site}: the update lacks {name}")
    for name in shapes.keys() - expected_shapes.keys():
        raise UpdateKeysWrong(f"{site}: the update has {name}, which the model does not")
    for name, shape in expected_shapes.items():
        if shapes[name] != shape:
            raise UpdateShapeWrong(f"{site}: {name} should have shape {shape}, got {shapes[name]}")
    raise UpdateRefused(f"{site}: the update's order, dtypes or blocks differ from the model's")


def _first_nonfinite(update: FlatState) -> str:
    offset = 0
    for entry in update.layout.entries:
        if not np.isfinite(update.values[offset : offset + entry.size]).all():
            return entry.name
        offset += entry.size
    return "no tensor"
