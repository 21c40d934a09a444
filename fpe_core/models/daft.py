"""DAFT: a feature map of an image, scaled and shifted channel by channel by what the clinical table says.

Wolf et al., DAFT: a universal module to interweave tabular data and 3D images in CNNs, NeuroImage 2022; conditioning as
in the Vall d'Hebron study of refractory occlusions, EJR 2025.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from fpe_core.errors import ModelError

BOTTLENECK = 64
"""Length of x, a choice of this platform: the equations leave it open."""


class DaftExplanation(NamedTuple):
    """A pass through a network with DAFT, with its graph kept: any field can be differentiated by an earlier one."""

    logits: Tensor
    """`[B, 1]`: the prediction."""
    before: Tensor
    """`[B, C, d, h, w]`: F, the feature map that goes into DAFT."""
    after: Tensor
    """`[B, C, d, h, w]`: F', the feature map that comes out."""
    scale: Tensor
    """`[B, C]` float32: S."""
    shift: Tensor
    """`[B, C]` float32: B."""


class Daft(nn.Module):
    """F' = F·S + B per channel, where [S; B] = W₂·x, x = ReLU(W₁·[P; T]) and P is the mean of F over space.

    The equations have no bias, and neither has this module. It therefore cannot start as the identity for every table;
    it starts near it for a table of columns in 0-1. W₁ gives P and T equal say, each half scaled by its own length, or
    18 columns would drown among a thousand channels. W₂ starts as a mean over x, scaled so that S is about 1, each
    channel a little different, and B is 0.

    Where no element of x is positive, F' is zero and no gradient reaches W₁ and W₂. Steps that are too large drive the
    whole module there for good: learning rates of 1e-3 did in our trials, 3e-4 did not; published is 1e-4.

    Args:
        num_channels: C, channels of the feature map.
        num_tabular: T, columns of the table.
        bottleneck: length of x.
    """

    def __init__(self, num_channels: int, num_tabular: int, *, bottleneck: int = BOTTLENECK) -> None:
        super().__init__()
        self.num_channels = num_channels
        self.num_tabular = num_tabular
        self.w1 = nn.Linear(num_channels + num_tabular, bottleneck, bias=False)
        self.w2 = nn.Linear(bottleneck, 2 * num_channels, bias=False)
        _initialise(self)

    def forward(self, features: Tensor, tabular: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """F `[B, C, d, h, w]` and T `[B, T]` to F', of F's shape and dtype, S and B, each `[B, C]` float32.

        Raises:
            ModelError: `tabular` is not `[B, num_tabular]`.
        """
        if tabular.shape != (len(features), self.num_tabular):
            raise ModelError(
                f"tabular should be [{len(features)}, {self.num_tabular}], got {list(tabular.shape)}",
                hint="the plan's clinical columns decide this shape",
            )
        # In float32 also under autocast: the vectors are short, and one rounding of S moves a whole channel.
        with torch.autocast(features.device.type, enabled=False):
            pooled = features.float().mean(dim=(2, 3, 4))
            hidden = torch.relu(self.w1(torch.cat([pooled, tabular.float()], dim=1)))
            scale, shift = self.w2(hidden).chunk(2, dim=1)
            after = torch.addcmul(_per_channel(shift, features), features, _per_channel(scale, features))
        return after, scale, shift


def _per_channel(vector: Tensor, features: Tensor) -> Tensor:
    return vector.to(features.dtype)[:, :, None, None, None]


@torch.no_grad()
def _initialise(daft: Daft) -> None:
    """W₁·[P; T] ~ N(0, 1) for columns uniform in 0-1 (mean square 1/3) and P as large; E[ReLU] is then 1/√(2π)."""
    channels, columns, bottleneck = daft.num_channels, daft.num_tabular, daft.w1.out_features
    daft.w1.weight[:, :channels].normal_(0, (3 / 2 / channels) ** 0.5)
    daft.w1.weight[:, channels:].normal_(0, (3 / 2 / columns) ** 0.5)
    mean = (2 * torch.pi) ** 0.5 / bottleneck
    daft.w2.weight[:channels].normal_(mean, mean)
    daft.w2.weight[channels:].zero_()
