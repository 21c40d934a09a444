"""Which part of a network a tensor belongs to: the unit in which weights can be shared or kept at a site."""

import re
from typing import Literal

from fpe_core.errors import ModelError

Block = Literal["stem", "encoder", "attention", "head", "norm", "projector", "daft"]
"""
stem: the first convolution, which sees the sequences. encoder: all other convolutions. attention: self-attention and
non-local. head: what turns features into logits. norm: all of batch normalisation, weights and running statistics,
wherever it stands. projector: of self-supervision. daft: conditioning on clinical data.
"""

_RULES: tuple[tuple[Block, re.Pattern[str]], ...] = (
    # The first that matches counts: norms and non-local weights stand inside the encoder's stages.
    ("norm", re.compile(r"(.+\.)?(bn\d+|downsample\.1|W_z\.1)\.")),
    ("attention", re.compile(r"attn_\d+\.|.+\.(theta|phi|g|W_z\.0)\.")),
    ("stem", re.compile(r"conv1\.")),
    ("encoder", re.compile(r"layer\d+\.")),
    ("head", re.compile(r"fc_\d+_\d+\.|classifier\.")),
)


def block_of(name: str) -> Block:
    """Block of the parameter or buffer called `name` in a model's state dict.

    Raises:
        ModelError: no rule knows the name. A new network brings its rules along.
    """
    for block, pattern in _RULES:
        if pattern.match(name):
            return block
    raise ModelError(f"the tensor {name} belongs to no block")
