"""Non-local block, embedded Gaussian (Wang et al., CVPR 2018, section 3.2)."""

import torch
from torch import Tensor, nn


class NonLocalBlock(nn.Module):
    """Every position of a feature map attends to every other; added to its input.

    Starts as the identity, because the last normalisation starts at zero.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.theta = nn.Conv2d(channels, inner, 1)
        self.phi = nn.Conv2d(channels, inner, 1)
        self.g = nn.Conv2d(channels, inner, 1)
        norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(norm.weight)
        self.W_z = nn.Sequential(nn.Conv2d(inner, channels, 1), norm)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, channels, H, W]` to the same shape. Memory grows with (H · W)²."""
        theta, phi, g = (conv(x).flatten(2) for conv in (self.theta, self.phi, self.g))
        weights = torch.softmax(theta.transpose(1, 2) @ phi, dim=-1)
        gathered = (g @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        result: Tensor = x + self.W_z(gathered)
        return result
