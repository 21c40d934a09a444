"""Repeatable pooling computes what torch's own does, gradients included."""

import pytest
import torch
from torch import nn

from fpe_core.models import build_model
from fpe_core.models.pooling import halved, mean_voxel, use_repeatable_pooling


@pytest.mark.parametrize("shape", [(2, 3, 4, 6, 8), (1, 2, 5, 7, 3), (1, 1, 2, 2, 2)])
def test_halving_equals_torch_s_own(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    ours, own = halved(x), nn.functional.avg_pool3d(x, 2, 2)
    torch.testing.assert_close(ours, own)
    (mine,) = torch.autograd.grad((ours**2).sum(), x)
    (theirs,) = torch.autograd.grad((own**2).sum(), x)
    torch.testing.assert_close(mine, theirs)


def test_one_voxel_equals_torch_s_own() -> None:
    x = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mean_voxel(x), nn.functional.adaptive_avg_pool3d(x, 1))


@pytest.mark.parametrize("name", ["densenet169", "efficientnet-b0"])
def test_no_pooling_that_a_gpu_cannot_repeat_is_left(name: str) -> None:
    """torch's own kernels are reached through these classes alone, and only halving and one voxel are covered."""
    kinds = (nn.AvgPool3d, nn.AdaptiveAvgPool3d)
    pools = [module for module in build_model(name, in_channels=1).modules() if isinstance(module, kinds)]
    assert pools
    assert not [module for module in pools if type(module) in kinds]
    for module in pools:
        if isinstance(module, nn.AvgPool3d):
            assert (module.kernel_size, module.stride, module.padding) == (2, 2, 0)
        else:
            assert module.output_size in (1, (1, 1, 1), [1, 1, 1])


def test_weights_and_results_stay() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(1, 2, 1), nn.AvgPool3d(2, 2), nn.AdaptiveAvgPool3d(1))
    x = torch.randn(1, 1, 4, 4, 4)
    expected, names = network(x), list(network.state_dict())
    assert use_repeatable_pooling(network) is network
    assert torch.equal(network(x), expected)
    assert list(network.state_dict()) == names
