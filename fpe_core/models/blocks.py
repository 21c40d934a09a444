"""Which part of a network a tensor belongs to: the unit in which weights can be shared or kept at a site."""

from collections.abc import Mapping
from typing import Literal

from torch import nn

from fpe_core.errors import ModelError

Block = Literal["stem", "encoder", "attention", "head", "norm", "projector", "daft"]
"""
stem: the first convolution, which sees the sequences. encoder: all other convolutions. attention: self-attention and
non-local. head: what turns features into logits. norm: all normalisation, weights and running statistics, wherever it
stands outside the projector. projector: of self-supervision, whole. daft: conditioning on clinical data.
"""

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


def block_map(model: nn.Module) -> dict[str, Block]:
    """Block of every parameter and buffer of `model`, by name, in state-dict order.

    A network says in its attribute `blocks` which block each beginning of a name stands for; the longest that fits
    counts. What belongs to a normalisation layer is in `norm`, unless it is part of the projector.

    Raises:
        ModelError: a name fits no beginning. A new network brings its own.
    """
    rules: Mapping[str, Block] = getattr(model, "blocks", {})
    norms = {path for path, module in model.named_modules() if isinstance(module, _NORMS)}
    return {name: _block(name, rules, norms) for name in model.state_dict()}


def _block(name: str, rules: Mapping[str, Block], norms: set[str]) -> Block:
    fitting = [prefix for prefix in rules if name.startswith(prefix)]
    block = rules[max(fitting, key=len)] if fitting else None
    if block != "projector" and name.rpartition(".")[0] in norms:
        return "norm"
    if block is None:
        raise ModelError(f"the tensor {name} belongs to no block")
    return block
