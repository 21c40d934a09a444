"""A model's weights as one flat array and a layout: what is averaged, stored and sent.

One array per message, because the number of tensors costs more than their bytes on Flower's wire. Needs NumPy only, so
that the server and the gate handle weights without torch.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from fpe_core.errors import StateMismatch, StateUnreadable

FloatArray = NDArray[np.float32]


@with_config(ConfigDict(extra="forbid", strict=True))
class _EntryJson(TypedDict):
    name: str
    shape: list[int]
    dtype: Literal["float32", "int64"]
    block: str


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of the flat array: its name, shape, dtype in the model, and the block it belongs to."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    block: str

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True)
class Layout:
    """Names, shapes and order of the tensors in a flat array. Offsets follow from the order."""

    entries: tuple[TensorEntry, ...]

    @cached_property
    def size(self) -> int:
        """Number of elements of the flat array."""
        return sum(entry.size for entry in self.entries)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the canonical JSON form."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Canonical JSON: a list of entries in order."""
        rows = [{"name": e.name, "shape": list(e.shape), "dtype": e.dtype, "block": e.block} for e in self.entries]
        return json.dumps(rows, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Layout":
        """Read what `to_json` wrote.

        Raises:
            StateUnreadable: not a list of entries, a negative dimension, or a name that stands twice.
        """
        try:
            rows = TypeAdapter(list[_EntryJson]).validate_json(text)
        except ValidationError:
            raise StateUnreadable("the layout of a flat state is not valid") from None
        names = {row["name"] for row in rows}
        if len(names) != len(rows) or any(size < 0 for row in rows for size in row["shape"]):
            raise StateUnreadable("the layout of a flat state repeats a name or has a negative dimension")
        return cls(tuple(TensorEntry(r["name"], tuple(r["shape"]), r["dtype"], r["block"]) for r in rows))


@dataclass(frozen=True, eq=False)
class FlatState:
    """Weights, or a difference of weights.

    Attributes:
        layout: names and shapes, in order.
        values: `(layout.size,)` float32; integer buffers are stored as floats and rounded when they go back.
    """

    layout: Layout
    values: FloatArray

    def __post_init__(self) -> None:
        if self.values.shape != (self.layout.size,) or self.values.dtype != np.float32:
            raise StateMismatch(
                f"flat state should be float32 of {self.layout.size} elements, "
                f"got {self.values.dtype} of shape {self.values.shape}"
            )

    def __getitem__(self, name: str) -> FloatArray:
        """One tensor as a view in its own shape."""
        offset = 0
        for entry in self.layout.entries:
            if entry.name == name:
                return self.values[offset : offset + entry.size].reshape(entry.shape)
            offset += entry.size
        raise KeyError(name)

    def plus(self, delta: "FlatState") -> "FlatState":
        """This state moved by `delta`, which must have the same layout."""
        if delta.layout != self.layout:
            raise StateMismatch("a state and its update should have the same layout")
        return FlatState(self.layout, self.values + delta.values)

    def minus(self, other: "FlatState") -> "FlatState":
        """The difference to `other`, which must have the same layout."""
        if other.layout != self.layout:
            raise StateMismatch("two states should have the same layout to be compared")
        return FlatState(self.layout, self.values - other.values)
