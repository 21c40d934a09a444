"""SCANet, the spatial cross-attention network (Zhang et al., MIDL 2022, short paper)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fpe_core.models.blocks import Block
from fpe_core.models.initialise import initialise, initialise_outputs
from fpe_core.models.neighbourhoods import fold_slices
from fpe_core.models.output import VolumeOutput
from fpe_core.models.resnet import SliceEncoder
from fpe_core.models.slice_transformers import NeighbourhoodTransformer, SpatialTransformer

__all__ = ["ScaNet"]

NUM_HEADS = 4
DROPOUT = 0.2


class ScaNet(nn.Module):
    """ResNet34 with a spatial transformer on every slice → a transformer in each neighbourhood → weighted softmax.

    What the paper says: a global convolutional block on every slice; ResNet34 branches over neighbourhoods of slices,
    which share their weights; multi-head attention within each slice; in each branch a cross-attention transformer that
    finds the important slices; the branches' outputs through a weighted softmax layer. Weights are shared, so that all
    slices of a batch pass each stage as one batch of B · Z images, and in training mode batch normalisation takes its
    statistics over all of them.

    What it leaves open, and what is chosen here:

    - The global block is ResNet34's stem and first stage, the branches are its other stages, as in MNT-DL.
    - Division into neighbourhoods: `neighbourhood_sizes`.
    - Place of the spatial transformer: after stage 3, where a published slice has 14 × 14 positions. Four heads, and
      feed-forward layers twice as wide, in both transformers: `SpatialTransformer`, `NeighbourhoodTransformer`.
    - Weighted softmax: one linear layer, shared by the branches and after layer normalisation, gives each branch's
      logit; another gives its score; the prediction is the logits' mean weighted by the softmax of the scores.
    - Dropout of a fifth on the slices' vectors and on the branches'; in training only.
    - First weights: `initialise`. Transformers and residual branches start at zero, all branches weigh the same.

    Attributes:
        embedding_size: length of what `embed` gives for a case, num_neighbourhoods · 8 · base_width.
        blocks: for `block_map`.
        beyond_embedding: beginnings of the names that `embed` does not use.
    """

    beyond_embedding = ("branch_",)

    def __init__(
        self, *, in_channels: int, base_width: int = 64, num_slices: int = 26, num_neighbourhoods: int = 5
    ) -> None:
        """A network for images of at least `num_slices` slices, of which it uses the first.

        Raises:
            ModelError: there are not as many slices as neighbourhoods.
        """
        super().__init__()
        self.in_channels = in_channels
        self.num_slices = num_slices
        self.encoder = SliceEncoder(in_channels=in_channels, base_width=base_width, non_local=False)
        self.encoder.layer3.append(SpatialTransformer(4 * base_width, num_heads=NUM_HEADS))
        width = self.encoder.num_features
        self.embedding_size = num_neighbourhoods * width
        self.neighbourhoods = NeighbourhoodTransformer(
            width, num_slices=num_slices, num_neighbourhoods=num_neighbourhoods, num_heads=NUM_HEADS
        )
        self.branch_norm = nn.LayerNorm(width)
        self.branch_head = nn.Linear(width, 1)
        self.branch_score = nn.Linear(width, 1, bias=False)
        self.blocks: dict[str, Block] = {f"encoder.{start}": block for start, block in self.encoder.blocks.items()}
        self.blocks |= {"encoder.layer3.6.": "attention", "neighbourhoods.": "attention", "branch_": "head"}
        self.apply(initialise)
        initialise_outputs(logits=(self.branch_head,), shares=(self.branch_score,))

    def forward(self, image: Tensor) -> VolumeOutput:
        """Logits of a batch.

        Args:
            image: `[B, C, Z, H, W]` float, slices along Z; Z ≥ num_slices. The published H = W is 224; any
                size that five halvings leave something of works.

        Raises:
            ModelError: `image` has another number of axes or channels, or too few slices.
        """
        branches = self.branch_norm(self.neighbourhoods(self._slices(image)))
        branches = F.dropout(branches, DROPOUT, self.training)
        shares = torch.softmax(self.branch_score(branches), dim=1)
        return VolumeOutput((shares * self.branch_head(branches)).sum(dim=1))

    def embed(self, image: Tensor) -> Tensor:
        """The branches' outputs, in the slices' order: `[B, C, Z, H, W]` to `[B, K · F]`."""
        branches: Tensor = self.neighbourhoods(self._slices(image))
        return branches.flatten(1)

    def slice_importance(self, image: Tensor) -> Tensor:
        """How much each slice counts in its neighbourhood: `[B, C, Z, H, W]` to `[B, num_slices]`; each neighbourhood's
        add up to one."""
        return self.neighbourhoods.slice_weights(self._slices(image))

    def _slices(self, image: Tensor) -> Tensor:
        """The vector of each slice, `[B, Z, F]`."""
        folded = fold_slices(image, in_channels=self.in_channels, num_slices=self.num_slices)
        vectors = torch.unflatten(self.encoder.encode(folded), 0, (-1, self.num_slices))
        return F.dropout(vectors, DROPOUT, self.training)
