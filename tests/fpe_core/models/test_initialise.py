import pytest
import torch
from torch import nn

from fpe_core.models.attention import CrossAttention, FeedForward, SelfAttention
from fpe_core.models.initialise import initialise, initialise_outputs


def test_convolutions_are_kaiming_and_linear_layers_xavier() -> None:
    torch.manual_seed(0)
    conv, linear = nn.Conv2d(16, 64, 3), nn.Linear(300, 200)
    for module in (conv, linear):
        initialise(module)
        assert not module.bias.any()
    assert conv.weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.03)
    assert linear.weight.abs().max().item() == pytest.approx((6 / 500) ** 0.5, rel=0.01)


@pytest.mark.parametrize("part", [SelfAttention(8, num_heads=2), CrossAttention(8, num_heads=2), FeedForward(8)])
def test_branches_beside_a_shortcut_start_at_zero(part: nn.Module) -> None:
    part.apply(initialise)
    assert not any(value.any() for value in part.proj.parameters())
    assert all(weight.any() for name, weight in part.named_parameters() if "weight" in name and "proj" not in name)


def test_logits_start_near_zero_and_shares_equal() -> None:
    torch.manual_seed(0)
    logits, shares = nn.Linear(4000, 1), nn.Linear(50, 1)
    initialise_outputs(logits=(logits,), shares=(shares,))
    assert logits.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not shares.weight.any()
