from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fpe_core.models.cross_attention import CrossScaleAttention, region_means
from fpe_core.models.initialise import initialise

Roughen = Callable[[nn.Module], nn.Module]


def maps(height: int = 8, width: int = 8) -> Tensor:
    return torch.randn(2, 10, 6, height, width, generator=torch.Generator().manual_seed(2))


def attention() -> CrossScaleAttention:
    torch.manual_seed(5)
    module = CrossScaleAttention(6, 16, num_slices=10, num_neighbourhoods=3, num_heads=4)
    module.apply(initialise)
    return module


@pytest.mark.parametrize(("height", "width"), [(8, 8), (56, 56), (7, 9), (4, 5), (2, 3), (1, 1)])
def test_regions_are_means_by_area(height: int, width: int) -> None:
    x = maps(height, width).double()
    finer = x.flatten(0, 1).repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    expected = F.avg_pool2d(finer, (height, width)).flatten(2).transpose(1, 2).reshape(2, 10, 16, 6)
    torch.testing.assert_close(region_means(x), expected)
    torch.testing.assert_close(region_means(x).mean(dim=2), x.mean(dim=(3, 4)))


def test_regions_seen_first_in_inference_mode_can_be_trained_on_later() -> None:
    x = maps(6, 11)
    with torch.inference_mode():
        seen = region_means(x)
    means = region_means(x.requires_grad_())
    means.sum().backward()
    assert torch.equal(means, seen)
    # Each region's mean has shares that add up to one.
    assert x.grad.sum().item() == pytest.approx(means.numel(), rel=1e-5)


def test_regions_keep_the_maps_precision() -> None:
    x = maps(7, 9)
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        assert region_means(x.to(dtype)).dtype is dtype
    torch.testing.assert_close(region_means(x).double(), region_means(x.double()), rtol=1e-4, atol=1e-5)


def test_an_untrained_module_projects_each_slice_alone() -> None:
    module, x = attention(), maps()
    scale = module.slices
    torch.testing.assert_close(module(x), scale.project(x.mean(dim=(3, 4))) + scale.position)


def test_slices_see_regions_neighbourhoods_and_one_another(roughened: Roughen) -> None:
    module, x = roughened(attention()), maps()
    before = module(x)
    moved = x.clone()
    # Two regions of one slice change places: its mean and its neighbourhood's stay.
    moved[:, 4, :, :2, :2], moved[:, 4, :, 6:, 6:] = x[:, 4, :, 6:, 6:], x[:, 4, :, :2, :2]
    torch.testing.assert_close(moved.mean(dim=(3, 4)), x.mean(dim=(3, 4)))
    assert ((module(moved) - before).abs().amax(dim=(0, 2)) > 1e-6).all()


def test_without_one_scale_the_tokens_are_others(roughened: Roughen) -> None:
    x, silent = maps(), {}
    for name in ("regions", "slices", "neighbourhoods"):
        for part in ("within", "across"):
            module = roughened(attention())
            before = module(x)
            proj = getattr(getattr(module, name), part).proj
            nn.init.zeros_(proj.weight)
            silent[f"{name}.{part}"] = torch.allclose(module(x), before, atol=1e-6)
    assert silent == dict.fromkeys(silent, False)


def test_gradients_reach_every_parameter(roughened: Roughen) -> None:
    module = roughened(attention())
    module(maps()).square().sum().backward()
    # A key's bias moves all scores of a query alike, which the softmax does not see.
    dead = [n for n, p in module.named_parameters() if p.grad.abs().max() < 1e-6 and not n.endswith("across.key.bias")]
    assert dead == []
