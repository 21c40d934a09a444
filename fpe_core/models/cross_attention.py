"""Attention over a volume at three scales, which exchange what they find."""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.compiler import is_compiling

from fpe_core.models.attention import CrossAttention, SelfAttention
from fpe_core.models.neighbourhoods import averaging_matrix

GRID = 4
"""Regions of a slice along each axis."""


class CrossScaleAttention(nn.Module):
    """Describes each slice by its low-level features, those of its regions and those of its surroundings.

    The scales are the 4 × 4 regions of every slice, the slices, and the neighbourhoods of slices. Each attends to
    itself; then regions and neighbourhoods attend to the slices, and the slices to both.
    """

    averages: Tensor

    def __init__(
        self, in_channels: int, num_features: int, *, num_slices: int, num_neighbourhoods: int, num_heads: int
    ) -> None:
        super().__init__()
        self.regions, self.slices, self.neighbourhoods = (
            _Scale(in_channels, num_features, length=length, num_heads=num_heads)
            for length in (num_slices * GRID**2, num_slices, num_neighbourhoods)
        )
        self.register_buffer("averages", averaging_matrix(num_slices, num_neighbourhoods), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Low-level maps `[B, Z, in_channels, H, W]` to the slices' tokens `[B, Z, num_features]`."""
        means = region_means(maps)
        slice_means = means.mean(dim=2)
        regions = self.regions(means.flatten(1, 2))
        slices = self.slices(slice_means)
        neighbourhoods = self.neighbourhoods(self.averages @ slice_means)
        regions = self.regions.gather(regions, slices)
        neighbourhoods = self.neighbourhoods.gather(neighbourhoods, slices)
        result: Tensor = self.slices.gather(slices, torch.cat((regions, neighbourhoods), dim=1))
        return result


class _Scale(nn.Module):
    """The tokens of one scale. Both attentions are normalised first and added to their input."""

    def __init__(self, in_channels: int, num_features: int, *, length: int, num_heads: int) -> None:
        super().__init__()
        self.project = nn.Linear(in_channels, num_features)
        self.position = nn.Parameter(0.02 * torch.randn(length, num_features))
        self.within_norm = nn.LayerNorm(num_features)
        self.within = SelfAttention(num_features, num_heads=num_heads)
        self.across_norm = nn.LayerNorm(num_features)
        self.context_norm = nn.LayerNorm(num_features)
        self.across = CrossAttention(num_features, num_heads=num_heads)

    def forward(self, means: Tensor) -> Tensor:
        """Mean low-level features `[B, length, in_channels]` to tokens that know their own scale."""
        tokens = self.project(means) + self.position
        result: Tensor = tokens + self.within(self.within_norm(tokens))
        return result

    def gather(self, tokens: Tensor, others: Tensor) -> Tensor:
        """Tokens `[B, length, F]` with what they find among `[B, others, F]`."""
        result: Tensor = tokens + self.across(self.across_norm(tokens), self.context_norm(others))
        return result


def region_means(maps: Tensor) -> Tensor:
    """Maps `[B, Z, C, H, W]` to the means of their 4 × 4 equal regions, row by row: `[B, Z, 16, C]`.

    A pixel that a border runs through counts in both regions by its area there, so that every size of map divides.
    Adaptive pooling would do nearly the same, but its backward pass is not deterministic on every device.
    """
    rows, columns = (_shares(length, maps.device, maps.dtype) for length in maps.shape[-2:])
    return torch.einsum("gh,bzchw,kw->bzgkc", rows, maps, columns).flatten(2, 3)


def _shares(length: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """`[GRID, length]`: the share that each pixel has in each region's mean; rows add up to one."""
    # The compiler folds the constants into the graph by itself, and does not see through a cache.
    return _computed_shares(length, device, dtype) if is_compiling() else _kept_shares(length, device, dtype)


@lru_cache(maxsize=16)
def _kept_shares(length: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    # Whoever asks first, later passes may be ones with a backward pass.
    with torch.inference_mode(False):
        return _computed_shares(length, device, dtype)


def _computed_shares(length: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    # In whole units of 1 / (GRID · length) of the axis: a pixel is GRID of them long, a region `length`.
    pixel = GRID * torch.arange(length, device=device)
    region = length * torch.arange(GRID, device=device).unsqueeze(1)
    overlap = torch.minimum(pixel + GRID, region + length) - torch.maximum(pixel, region)
    return overlap.clamp(min=0).to(dtype) / length
