"""Multi-head attention (Vaswani et al., NeurIPS 2017, section 3.2.2) and the feed-forward layer beside it.

Written out instead of torch's fused kernels, whose backward passes are not deterministic on every device; sequences
have at most some hundred elements.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Plain self-attention: no mask, no normalisation, no shortcut."""

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


class CrossAttention(nn.Module):
    """Attention of one sequence to another: no normalisation, no shortcut."""

    def __init__(self, num_features: int, *, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.scale = (num_features // num_heads) ** -0.5
        self.query = nn.Linear(num_features, num_features)
        self.key = nn.Linear(num_features, num_features)
        self.value = nn.Linear(num_features, num_features)
        self.proj = nn.Linear(num_features, num_features)

    def forward(self, x: Tensor, context: Tensor, *, allowed: Tensor | None = None) -> Tensor:
        """What each element of `x` gathers from `context`.

        Args:
            x: `[N, length, num_features]`.
            context: `[N, context_length, num_features]`.
            allowed: `[length, context_length]` bool, what each element may look at; default everything.

        Returns:
            `[N, length, num_features]`.
        """
        gathered = self.weights(x, context, allowed=allowed) @ self._heads(self.value(context))
        result: Tensor = self.proj(gathered.transpose(1, 2).flatten(2))
        return result

    def weights(self, x: Tensor, context: Tensor, *, allowed: Tensor | None = None) -> Tensor:
        """`[N, heads, length, context_length]`: how much each element looks at each of `context`; adds up to one."""
        scores = self._heads(self.query(x)) @ self._heads(self.key(context)).transpose(-2, -1) * self.scale
        if allowed is not None:
            scores = scores.masked_fill(~allowed, float("-inf"))
        return torch.softmax(scores, dim=-1)

    def _heads(self, x: Tensor) -> Tensor:
        """`[N, length, heads · width]` to `[N, heads, length, width]`."""
        return torch.unflatten(x, -1, (self.num_heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """Two linear layers around a GELU, on each element of a sequence alone; twice as wide between them."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.expand = nn.Linear(num_features, 2 * num_features)
        self.proj = nn.Linear(2 * num_features, num_features)

    def forward(self, x: Tensor) -> Tensor:
        """`[.., num_features]` to the same shape."""
        result: Tensor = self.proj(F.gelu(self.expand(x)))
        return result
