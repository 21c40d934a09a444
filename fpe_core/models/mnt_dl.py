"""MNT-DL, the multisequence neighbourhood transformer, as its paper describes it (Zhang et al., AJNR 2024)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fpe_core.models.blocks import Block
from fpe_core.models.cross_attention import CrossScaleAttention
from fpe_core.models.initialise import initialise, initialise_outputs
from fpe_core.models.neighbourhoods import averaging_matrix, fold_slices
from fpe_core.models.output import MntDlOutput
from fpe_core.models.released import load_released_state_dict
from fpe_core.models.resnet import SliceEncoder

__all__ = ["MntDl", "load_released_state_dict"]

NUM_HEADS = 4
DROPOUT = 0.2


class MntDl(nn.Module):
    """Shared low-level stage → local networks → subnets; low-level features → slice importance; both → fusion.

    What the paper says: ResNet34's stem and first stage see every slice; local networks of its other stages with a
    non-local block, one for each run of adjacent slices, share their weights; a multi-head attention over several
    scales of the volume's low-level features, exchanged by normalisation and shortcuts, gives each slice an importance;
    a linear layer sees that output and the local networks'. Weights are shared, so that all slices of a batch pass each
    stage as one batch of B · Z images, and in training mode batch normalisation takes its statistics over all of them.

    What it leaves open, and what is chosen here:

    - Division into neighbourhoods: `neighbourhood_sizes`. A local network's output is the mean over its slices.
    - Place of the non-local block: before the last block of stage 3, where the released code has it.
    - Scales, their exchange: `CrossScaleAttention`; four heads, 4 · base_width features, learned positions.
    - Slice importance: softmax over the slices of a linear score; it multiplies the slices' tokens and, so that all
      slices together weigh as much as without it, the vectors whose means the fusion takes.
    - The final layer sees the importance-weighted sum of tokens beside the importance-weighted output of each
      neighbourhood, at its own place, after layer normalisation. The low-level stage thus reaches it directly.
    - A subnet is one linear layer of its own on its neighbourhood's unweighted output, after layer normalisation.
    - Dropout of a fifth after the local networks and before the final layer, as released; in training only.
    - First weights: `initialise`. Attention and residual branches start at zero, importance equal for all slices.

    Attributes:
        embedding_size: length of what `embed` gives for a case, num_neighbourhoods · 8 · base_width.
        blocks: for `block_map`.
        beyond_embedding: beginnings of the names that `embed` does not use.
    """

    beyond_embedding = ("cross_scale.", "importance", "subnet_", "fusion_")

    averages: Tensor

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
        self.encoder = SliceEncoder(in_channels=in_channels, base_width=base_width, non_local=True)
        local, token = self.encoder.num_features, 4 * base_width
        self.embedding_size = num_neighbourhoods * local
        self.register_buffer("averages", averaging_matrix(num_slices, num_neighbourhoods), persistent=False)
        self.cross_scale = CrossScaleAttention(
            base_width, token, num_slices=num_slices, num_neighbourhoods=num_neighbourhoods, num_heads=NUM_HEADS
        )
        self.importance_norm = nn.LayerNorm(token)
        self.importance = nn.Linear(token, 1, bias=False)
        self.subnet_norm = nn.LayerNorm(local)
        self.subnet_heads = nn.Linear(local, num_neighbourhoods)
        self.fusion_norm = nn.LayerNorm(token + self.embedding_size)
        self.fusion_head = nn.Linear(token + self.embedding_size, 1)
        self.blocks: dict[str, Block] = {f"encoder.{start}": block for start, block in self.encoder.blocks.items()}
        self.blocks |= {"cross_scale.": "attention", "importance": "attention", "subnet_": "head", "fusion_": "head"}
        self.apply(initialise)
        initialise_outputs(logits=(self.subnet_heads, self.fusion_head), shares=(self.importance,))

    def forward(self, image: Tensor) -> MntDlOutput:
        """Logits of a batch.

        Args:
            image: `[B, C, Z, H, W]` float, slices along Z; Z ≥ num_slices. The published H = W is 224; any
                size that five halvings leave something of works.

        Raises:
            ModelError: `image` has another number of axes or channels, or too few slices.
        """
        low = self._low_level(image)
        # The large network first: a GPU still computes it while the many small kernels of the attention are launched.
        local = self._local(low)
        tokens = self._tokens(low)
        return MntDlOutput(self._fusion(tokens, local), self._subnets(self.averages @ local))

    def embed(self, image: Tensor) -> Tensor:
        """The local networks' outputs, in the slices' order: `[B, C, Z, H, W]` to `[B, K · F]`."""
        return (self.averages @ self._local(self._low_level(image))).flatten(1)

    def slice_importance(self, image: Tensor) -> Tensor:
        """How much each slice counts in the prediction: `[B, C, Z, H, W]` to `[B, num_slices]`, rows add up to one."""
        return self._importance(self._tokens(self._low_level(image)))

    def _low_level(self, image: Tensor) -> Tensor:
        """Maps of all slices `[B · Z, base_width, H / 4, W / 4]`."""
        return self.encoder.low_level(fold_slices(image, in_channels=self.in_channels, num_slices=self.num_slices))

    def _tokens(self, low: Tensor) -> Tensor:
        """Low-level maps to what the volume says about each slice, `[B, Z, 4 · base_width]`."""
        tokens: Tensor = self.importance_norm(self.cross_scale(torch.unflatten(low, 0, (-1, self.num_slices))))
        return tokens

    def _importance(self, tokens: Tensor) -> Tensor:
        return torch.softmax(self.importance(tokens).squeeze(-1), dim=-1)

    def _local(self, low: Tensor) -> Tensor:
        """Low-level maps to the local networks' vector of each slice, `[B, Z, F]`."""
        vectors = torch.unflatten(self.encoder.high_level(low), 0, (-1, self.num_slices))
        return F.dropout(vectors, DROPOUT, self.training)

    def _fusion(self, tokens: Tensor, local: Tensor) -> Tensor:
        """`[B, Z, 4 · base_width]` and `[B, Z, F]` to `[B, 1]`."""
        importance = self._importance(tokens).unsqueeze(-1)
        attended = (importance * tokens).sum(dim=1)
        neighbourhoods = self.averages @ (self.num_slices * importance * local)
        seen = self.fusion_norm(torch.cat((attended, neighbourhoods.flatten(1)), dim=1))
        logits: Tensor = self.fusion_head(F.dropout(seen, DROPOUT, self.training))
        return logits

    def _subnets(self, neighbourhoods: Tensor) -> Tensor:
        """`[B, K, F]` to `[B, K]`: the heads side by side, each on its own neighbourhood."""
        # A pairwise sum keeps float32 precision where a logit is a small difference of large terms.
        logits: Tensor = (self.subnet_norm(neighbourhoods) * self.subnet_heads.weight).sum(dim=-1)
        return logits + self.subnet_heads.bias
