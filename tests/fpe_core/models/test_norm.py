import pytest
import torch
from torch import nn

from fpe_core.models import build_model
from fpe_core.models.norm import use_group_norm


@pytest.mark.parametrize(
    ("channels", "groups"),
    [(512, 32), (128, 32), (64, 16), (32, 8), (24, 4), (40, 8), (8, 2), (3, 1), (96, 16)],
)
def test_the_number_of_groups_divides_the_channels(channels: int, groups: int) -> None:
    norm = use_group_norm(nn.Sequential(nn.BatchNorm3d(channels)))[0]
    assert isinstance(norm, nn.GroupNorm)
    assert norm.num_groups == groups
    assert norm(torch.randn(2, channels, 3, 3, 3)).shape == (2, channels, 3, 3, 3)


def test_a_narrow_layer_on_one_pixel_is_not_silenced() -> None:
    """With a group for each channel every value would be its own mean."""
    norm = use_group_norm(nn.Sequential(nn.BatchNorm2d(8)))[0]
    assert norm(torch.randn(4, 8, 1, 1, generator=torch.Generator().manual_seed(0))).abs().min() > 0


def test_weight_bias_and_eps_are_kept() -> None:
    batch = nn.BatchNorm2d(8, eps=0.01)
    nn.init.normal_(batch.weight)
    nn.init.normal_(batch.bias)
    group = use_group_norm(nn.ModuleDict({"a": batch, "b": nn.BatchNorm1d(4, affine=False)}))
    assert torch.equal(group["a"].weight, batch.weight)
    assert torch.equal(group["a"].bias, batch.bias)
    assert group["a"].eps == 0.01
    assert not list(group["b"].parameters())


@pytest.mark.parametrize("name", ["mnt-dl", "mnt-dl-released", "scanet", "resnet34"])
def test_no_case_depends_on_another(name: str) -> None:
    model = build_model(name, in_channels=2, norm="group", base_width=8)
    assert not [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert not list(model.state_dict().keys() - dict(model.named_parameters()).keys())
    x = torch.randn(2, 2, 26, 32, 32, generator=torch.Generator().manual_seed(0))
    for module in model.modules():
        if isinstance(module, nn.GroupNorm):
            nn.init.uniform_(module.weight)
    model.eval()
    torch.testing.assert_close(model(x).logits[:1], model(x[:1]).logits, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["mnt-dl", "scanet"])
def test_branches_still_start_at_zero(name: str) -> None:
    model = build_model(name, in_channels=2, norm="group", base_width=8)
    assert not any(block.bn2.weight.any() for block in model.encoder.layer2)
    assert model.encoder.bn1.weight.eq(1).all()
