"""Networks small enough to compute by hand."""

import pytest
import torch
from torch import Tensor, nn

from fpe_core.models.daft import Daft, DaftExplanation
from fpe_core.models.output import VolumeOutput


class PatchNet(nn.Module):
    """Means of 4×4×4 patches of one channel, a ReLU, and a weighted sum of two feature channels."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv3d(1, 2, 4, stride=4, bias=False), nn.ReLU(inplace=True))
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(2, 1)
        with torch.no_grad():
            self.features[0].weight[0] = 1 / 64
            self.features[0].weight[1] = -1 / 64
            self.head.weight.copy_(torch.tensor([[3.0, -1.0]]))

    def forward(self, image: Tensor) -> VolumeOutput:
        pooled = self.features(image).mean(dim=(2, 3, 4))
        return VolumeOutput(self.head(self.dropout(pooled)))


class SliceNet(nn.Module):
    """Slices folded into the batch, as our networks over slices have them; sees the first `num_slices`."""

    def __init__(self, num_slices: int) -> None:
        super().__init__()
        self.num_slices = num_slices
        self.features = nn.Sequential(nn.Conv2d(1, 1, 4, stride=4, bias=False), nn.ReLU())
        self.slice_head = nn.Linear(num_slices, 1)
        nn.init.constant_(self.features[0].weight, 1 / 16)
        nn.init.constant_(self.slice_head.weight, 1.0)

    def forward(self, image: Tensor) -> VolumeOutput:
        slices = image[:, :, : self.num_slices].transpose(1, 2).flatten(0, 1)
        means = self.features(slices).mean(dim=(1, 2, 3)).view(len(image), self.num_slices)
        return VolumeOutput(self.slice_head(means))


class DaftNet(nn.Module):
    """Patches of two feature channels, DAFT on three columns, a weighted sum; offers `explain` as our encoders do."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv3d(1, 2, 4, stride=4, bias=False), nn.ReLU())
        self.daft: nn.Module = Daft(2, 3, bottleneck=16)
        self.head = nn.Linear(2, 1)
        nn.init.normal_(self.daft.w2.weight)

    def explain(self, image: Tensor, tabular: Tensor) -> DaftExplanation:
        before = self.features(image)
        after, scale, shift = self.daft(before, tabular)
        return DaftExplanation(self.head(after.mean(dim=(2, 3, 4))), before, after, scale, shift)

    def forward(self, image: Tensor, tabular: Tensor) -> VolumeOutput:
        return VolumeOutput(self.explain(image, tabular).logits)


class FixedDaft(nn.Module):
    """S and B that depend on nothing but, linearly, the columns: S = s₀ + Aₛ·T, B = b₀ + A_b·T."""

    def __init__(self, s0: list[float], b0: list[float], a_scale: Tensor, a_shift: Tensor) -> None:
        super().__init__()
        self.s0, self.b0, self.a_scale, self.a_shift = torch.tensor(s0), torch.tensor(b0), a_scale, a_shift

    def forward(self, features: Tensor, tabular: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scale, shift = self.s0 + tabular @ self.a_scale.T, self.b0 + tabular @ self.a_shift.T
        after = features * scale[:, :, None, None, None] + shift[:, :, None, None, None]
        return after, scale, shift


@pytest.fixture
def patch_net() -> PatchNet:
    return PatchNet()


@pytest.fixture
def slice_net() -> SliceNet:
    return SliceNet(6)


@pytest.fixture
def daft_net() -> DaftNet:
    torch.manual_seed(0)
    return DaftNet()


@pytest.fixture
def with_fixed_daft(daft_net: DaftNet):
    """The same network with a DAFT whose S and B are given by hand."""

    def build(s0, b0, a_scale=None, a_shift=None) -> DaftNet:
        zero = torch.zeros(2, 3)
        daft_net.daft = FixedDaft(s0, b0, zero if a_scale is None else a_scale, zero if a_shift is None else a_shift)
        return daft_net

    return build
