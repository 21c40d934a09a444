"""What every network gives back, so that one loss and one loop serve all of them."""

from typing import NamedTuple, Protocol

from torch import Tensor


class ModelOutput(Protocol):
    """Logits of a batch of B cases; a sigmoid makes probabilities of them."""

    @property
    def logits(self) -> Tensor:
        """`[B, 1]`: the prediction."""

    @property
    def subnets(self) -> Tensor | None:
        """`[B, K]`: predictions of K parts of the network, trained beside the whole (deep supervision), or None."""


class MntDlOutput(NamedTuple):
    """Logits of a batch of B cases; a sigmoid makes probabilities of them."""

    fusion: Tensor
    """`[B, 1]`: the whole volume. This is the prediction."""
    subnets: Tensor
    """`[B, K]`: each of K neighbourhoods of slices alone, in the slices' order. Trained beside the fusion."""

    @property
    def logits(self) -> Tensor:
        """`[B, 1]`: the prediction, which is the fusion."""
        return self.fusion


class VolumeOutput(NamedTuple):
    """The output of a network that is trained on its prediction alone."""

    logits: Tensor
    """`[B, 1]`: the prediction."""
    subnets: None = None
    """There are none."""
