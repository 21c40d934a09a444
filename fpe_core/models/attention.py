"""Multi-head self-attention over short sequences (Vaswani et al., NeurIPS 2017, section 3.2.2)."""

import torch
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Plain self-attention: no mask, no normalisation, no shortcut.

    Written out instead of torch's fused kernel: sequences have five elements, so there is nothing to fuse, and the
    backward pass of the fused kernels is not deterministic on every device.
    """

    def __init__(self, num_features: int, *, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.scale = (num_features // num_heads) ** -0.5
        self.qkv = nn.Linear(num_features, 3 * num_features)
        self.proj = nn.Linear(num_features, num_features)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, length, num_features]` to the same shape."""
        # [N, length, 3 · heads · width] -> three of [N, heads, length, width]
        query, key, value = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        weights = torch.softmax(query @ key.transpose(-2, -1) * self.scale, dim=-1)
        result: Tensor = self.proj((weights @ value).transpose(1, 2).flatten(2))
        return result
