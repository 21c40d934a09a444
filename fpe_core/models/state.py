"""Between a torch model and the flat array that is averaged, stored and sent."""

import torch
from torch import Tensor, nn

from fpe_core.errors import ModelError, StateMismatch
from fpe_core.models.blocks import Block, block_map
from fpe_core.state import FlatState, Layout, TensorEntry

_DTYPES = {torch.float32: "float32", torch.int64: "int64"}


def layout_of(model: nn.Module) -> Layout:
    """Names, shapes, dtypes and blocks of all parameters and buffers of `model`, in state-dict order.

    Raises:
        ModelError: a tensor is neither float32 nor int64, or belongs to no block.
    """
    blocks = block_map(model)
    return Layout(tuple(_entry(name, tensor, blocks[name]) for name, tensor in model.state_dict().items()))


@torch.no_grad()
def read_state(model: nn.Module) -> FlatState:
    """The weights of `model` as one float32 array of their own, from whatever device they are on.

    Integer buffers (batch counters) are exact up to 2²⁴.
    """
    layout = layout_of(model)
    tensors = list(model.state_dict().values())
    # Gathered where the model is, so that a GPU's weights cross the bus once and not tensor by tensor.
    flat = torch.empty(layout.size, dtype=torch.float32, device=tensors[0].device if tensors else None)
    for part, tensor in zip(_parts(flat, layout), tensors, strict=True):
        part.copy_(tensor)
    return FlatState(layout, flat.cpu().numpy())


@torch.no_grad()
def write_state(model: nn.Module, state: FlatState) -> None:
    """Overwrite the weights of `model` with `state`; integer buffers are rounded. `state` stays independent.

    Raises:
        StateMismatch: the layouts differ; the message names the first tensor that does not fit.
    """
    layout = layout_of(model)
    if state.layout != layout:
        raise StateMismatch(_first_difference(layout, state.layout))
    tensors = list(model.state_dict().values())
    # torch.tensor copies: an array that came in a message is read-only, and torch has no such tensors.
    flat = torch.tensor(state.values, device=tensors[0].device if tensors else None)
    for part, tensor in zip(_parts(flat, layout), tensors, strict=True):
        tensor.copy_(part if tensor.is_floating_point() else part.round())


def _entry(name: str, tensor: Tensor, block: Block) -> TensorEntry:
    if tensor.dtype not in _DTYPES:
        raise ModelError(f"the tensor {name} should be float32 or int64, got {tensor.dtype}")
    return TensorEntry(name, tuple(tensor.shape), _DTYPES[tensor.dtype], block)


def _parts(flat: Tensor, layout: Layout) -> list[Tensor]:
    """Views of `flat`, one for each tensor, in the tensors' shapes."""
    parts = torch.split(flat, [entry.size for entry in layout.entries])
    return [part.view(entry.shape) for part, entry in zip(parts, layout.entries, strict=True)]


def _first_difference(own: Layout, given: Layout) -> str:
    for mine, theirs in zip(own.entries, given.entries, strict=False):
        if mine != theirs:
            return f"expected {_described(mine)}, got {_described(theirs)}"
    return f"expected {len(own.entries)} tensors, got {len(given.entries)}"


def _described(entry: TensorEntry) -> str:
    return f"{entry.name} {list(entry.shape)} {entry.dtype} in block {entry.block}"
