"""Mean pooling of volumes whose backward pass a GPU can repeat.

Torch 2.13 refuses the backward pass of its own on a GPU where deterministic algorithms are asked for.
"""

import torch
from torch import Tensor, nn


def use_repeatable_pooling(network: nn.Module) -> nn.Module:
    """Replace mean pooling over volumes: torch's own computes wherever it is repeatable, its equal elsewhere.

    Covers halving (kernel and stride 2) and pooling to one voxel, which is all that the networks have.

    Returns:
        `network` itself.
    """
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.AvgPool3d):
                setattr(parent, name, _Halving(child.kernel_size, child.stride))
            elif isinstance(child, nn.AdaptiveAvgPool3d):
                setattr(parent, name, _ToOneVoxel(child.output_size))
    return network


def halved(x: Tensor) -> Tensor:
    """Means of 2 × 2 × 2 voxels, a last odd one left out: `[.., D, H, W]` to `[.., D / 2, H / 2, W / 2]`."""
    depth, height, width = (side // 2 for side in x.shape[-3:])
    even = x[..., : 2 * depth, : 2 * height, : 2 * width]
    pairs = even.reshape(*x.shape[:-3], depth, 2, height, 2, width, 2)
    return pairs.mean(dim=(-5, -3, -1))


def mean_voxel(x: Tensor) -> Tensor:
    """The mean over space: `[.., D, H, W]` to `[.., 1, 1, 1]`."""
    return x.mean(dim=(-3, -2, -1), keepdim=True)


class _Halving(nn.AvgPool3d):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """As torch's own."""
        return halved(input) if _must_repeat(input) else super().forward(input)


class _ToOneVoxel(nn.AdaptiveAvgPool3d):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """As torch's own."""
        return mean_voxel(input) if _must_repeat(input) else super().forward(input)


def _must_repeat(x: Tensor) -> bool:
    return x.is_cuda and torch.are_deterministic_algorithms_enabled()
