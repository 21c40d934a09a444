"""Our attention against torch's own layer with the same weights."""

import pytest
import torch
from torch import Tensor, nn

from fpe_core.models.attention import CrossAttention, FeedForward, SelfAttention


def sequence(length: int, seed: int) -> Tensor:
    return torch.randn(3, length, 12, generator=torch.Generator().manual_seed(seed))


def torchs_own(weight: Tensor, bias: Tensor, proj: nn.Linear) -> nn.MultiheadAttention:
    layer = nn.MultiheadAttention(12, 4, batch_first=True)
    layer.in_proj_weight.data, layer.in_proj_bias.data = weight, bias
    layer.out_proj.load_state_dict(proj.state_dict())
    return layer


def reference_of(attention: CrossAttention) -> nn.MultiheadAttention:
    parts = (attention.query, attention.key, attention.value)
    return torchs_own(torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts]), attention.proj)


def test_self_attention_is_torchs() -> None:
    torch.manual_seed(0)
    attention, x = SelfAttention(12, num_heads=4), sequence(5, 1)
    reference = torchs_own(attention.qkv.weight, attention.qkv.bias, attention.proj)
    torch.testing.assert_close(attention(x), reference(x, x, x)[0])


@pytest.mark.parametrize("masked", [False, True])
def test_cross_attention_is_torchs(masked: bool) -> None:
    torch.manual_seed(0)
    attention, x, context = CrossAttention(12, num_heads=4), sequence(3, 1), sequence(7, 2)
    allowed = torch.rand(3, 7) > 0.5 if masked else torch.ones(3, 7, dtype=torch.bool)
    allowed[:, 0] = True
    expected, weights = reference_of(attention)(
        x, context, context, attn_mask=~allowed, need_weights=True, average_attn_weights=False
    )
    torch.testing.assert_close(attention(x, context, allowed=allowed if masked else None), expected)
    torch.testing.assert_close(attention.weights(x, context, allowed=allowed if masked else None), weights)


def test_weights_add_up_to_one_and_are_zero_where_not_allowed() -> None:
    torch.manual_seed(0)
    allowed = torch.eye(3, 7, dtype=torch.bool) | torch.tensor([False] * 6 + [True])
    weights = CrossAttention(12, num_heads=4).weights(sequence(3, 1), sequence(7, 2), allowed=allowed)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(3, 4, 3))
    assert (weights[..., ~allowed] == 0).all()
    assert (weights[..., allowed] > 0).all()


def test_elements_do_not_mix_in_a_feed_forward_layer() -> None:
    torch.manual_seed(0)
    layer, x = FeedForward(12), sequence(5, 1)
    torch.testing.assert_close(layer(x)[:, 2], layer(x[:, 2]))
    inner = x @ layer.expand.weight.T + layer.expand.bias
    gelu = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
    torch.testing.assert_close(layer(x), gelu @ layer.proj.weight.T + layer.proj.bias)
