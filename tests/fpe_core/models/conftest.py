"""What the tests of the networks over slices share."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

Roughen = Callable[[nn.Module], nn.Module]
MakeImages = Callable[..., Tensor]


def _roughened(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.8, 1.2)
            if isinstance(module, nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm):
                module.weight.uniform_(0.5, 1.0)
                module.bias.uniform_(-0.1, 0.1)
            elif isinstance(module, nn.Linear):
                module.weight.normal_(0, module.in_features**-0.5)
                if module.bias is not None:
                    module.bias.normal_(0, 0.1)
            elif not isinstance(module, nn.Conv2d):
                for parameter in module.parameters(recurse=False):
                    parameter.normal_()
    return model


@pytest.fixture
def roughened() -> Roughen:
    """Draws norms, positions and linear layers anew, in place, away from their initial zeros: every branch counts."""
    return _roughened


@pytest.fixture
def images() -> MakeImages:
    """Noise `[size, channels, num_slices, side, side]`."""

    def draw(size: int = 2, *, channels: int = 2, num_slices: int = 26, side: int = 32) -> Tensor:
        return torch.randn(size, channels, num_slices, side, side, generator=torch.Generator().manual_seed(1))

    return draw
