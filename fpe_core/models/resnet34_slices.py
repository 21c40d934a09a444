"""ResNet34 over the slices of a volume: the plain network that SCANet is compared with (Zhang et al., MIDL 2022)."""

import torch
from torch import Tensor, nn

from fpe_core.models.blocks import Block
from fpe_core.models.initialise import initialise, initialise_outputs
from fpe_core.models.neighbourhoods import fold_slices
from fpe_core.models.output import VolumeOutput
from fpe_core.models.resnet import SliceEncoder

__all__ = ["ResNet34Slices"]


class ResNet34Slices(nn.Module):
    """ResNet34 on every slice → mean of the slices' vectors → linear layer.

    The paper names a ResNet34 as its standard architecture and says no more. How a network over images sees a volume
    is chosen here: each slice by the same weights, sequences as channels, and all slices count the same. It is SCANet
    without its transformers, neighbourhoods and weighted softmax.

    Attributes:
        embedding_size: length of what `embed` gives for a case, 8 · base_width.
        blocks: for `block_map`.
        beyond_embedding: beginnings of the names that `embed` does not use.
    """

    beyond_embedding = ("head.",)

    def __init__(self, *, in_channels: int, base_width: int = 64, num_slices: int = 26) -> None:
        """A network for images of at least `num_slices` slices, of which it uses the first."""
        super().__init__()
        self.in_channels = in_channels
        self.num_slices = num_slices
        self.encoder = SliceEncoder(in_channels=in_channels, base_width=base_width, non_local=False)
        self.embedding_size = self.encoder.num_features
        self.head = nn.Linear(self.embedding_size, 1)
        self.blocks: dict[str, Block] = {f"encoder.{start}": block for start, block in self.encoder.blocks.items()}
        self.blocks["head."] = "head"
        self.apply(initialise)
        initialise_outputs(logits=(self.head,), shares=())

    def forward(self, image: Tensor) -> VolumeOutput:
        """Logits of a batch.

        Args:
            image: `[B, C, Z, H, W]` float, slices along Z; Z ≥ num_slices. Any H and W that five halvings leave
                something of.

        Raises:
            ModelError: `image` has another number of axes or channels, or too few slices.
        """
        return VolumeOutput(self.head(self.embed(image)))

    def embed(self, image: Tensor) -> Tensor:
        """The mean of the slices' vectors: `[B, C, Z, H, W]` to `[B, F]`."""
        folded = fold_slices(image, in_channels=self.in_channels, num_slices=self.num_slices)
        return torch.unflatten(self.encoder.encode(folded), 0, (-1, self.num_slices)).mean(dim=1)
