"""The two transformers of SCANet: over the positions of a slice, and over the slices of a neighbourhood."""

import torch
from torch import Tensor, nn

from fpe_core.models.attention import CrossAttention, FeedForward, SelfAttention
from fpe_core.models.neighbourhoods import averaging_matrix


class SpatialTransformer(nn.Module):
    """Every position of a slice's feature map attends to every other, then passes a feed-forward layer.

    A transformer layer with the normalisation first (Dosovitskiy et al., ICLR 2021, equations 2 and 3). There is no
    embedding of positions, so that a slice may have any size: convolutions with padded borders tell them already.
    """

    def __init__(self, channels: int, *, num_heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(channels)
        self.attention = SelfAttention(channels, num_heads=num_heads)
        self.feed_forward_norm = nn.LayerNorm(channels)
        self.feed_forward = FeedForward(channels)

    def forward(self, maps: Tensor) -> Tensor:
        """`[N, channels, H, W]` to the same shape. Memory grows with (H · W)²."""
        tokens = maps.flatten(2).transpose(1, 2)
        tokens = tokens + self.attention(self.attention_norm(tokens))
        tokens = tokens + self.feed_forward(self.feed_forward_norm(tokens))
        result: Tensor = tokens.transpose(1, 2).reshape(maps.shape)
        return result


class NeighbourhoodTransformer(nn.Module):
    """Each neighbourhood asks its own slices what they show, and no others.

    The query is the neighbourhood's mean plus a learned vector; what it gathers is added to the mean, and a
    feed-forward layer follows. All neighbourhoods share the weights and go through as one batch, whatever their sizes.
    """

    averages: Tensor

    def __init__(self, num_features: int, *, num_slices: int, num_neighbourhoods: int, num_heads: int) -> None:
        super().__init__()
        self.register_buffer("averages", averaging_matrix(num_slices, num_neighbourhoods), persistent=False)
        self.query = nn.Parameter(0.02 * torch.randn(num_features))
        self.query_norm = nn.LayerNorm(num_features)
        self.slice_norm = nn.LayerNorm(num_features)
        self.attention = CrossAttention(num_features, num_heads=num_heads)
        self.feed_forward_norm = nn.LayerNorm(num_features)
        self.feed_forward = FeedForward(num_features)

    def forward(self, slices: Tensor) -> Tensor:
        """Slices' vectors `[B, Z, F]` to neighbourhoods' vectors `[B, K, F]`."""
        means = self.averages @ slices
        found = self.attention(self._queries(means), self.slice_norm(slices), allowed=self.averages > 0)
        vectors = means + found
        result: Tensor = vectors + self.feed_forward(self.feed_forward_norm(vectors))
        return result

    def slice_weights(self, slices: Tensor) -> Tensor:
        """`[B, Z]`: how much each slice counts in its neighbourhood, mean over the heads; each neighbourhood's add up
        to one."""
        queries = self._queries(self.averages @ slices)
        weights = self.attention.weights(queries, self.slice_norm(slices), allowed=self.averages > 0)
        # Outside its neighbourhood a slice weighs nothing, so that the sum over neighbourhoods is its own weight.
        return weights.mean(dim=1).sum(dim=1)

    def _queries(self, means: Tensor) -> Tensor:
        queries: Tensor = self.query_norm(means + self.query)
        return queries
