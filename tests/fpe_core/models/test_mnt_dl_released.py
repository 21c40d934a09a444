"""The folded forward pass against a readable one that takes slice by slice, and the network's other promises."""

import copy

import pytest
import torch
from torch import Tensor, nn

from fpe_core.errors import ModelError
from fpe_core.models.mnt_dl_released import MntDlReleased
from fpe_core.models.output import MntDlOutput


def small_model(*, non_local: bool = False, in_channels: int = 3) -> MntDlReleased:
    """Width 8, with norms away from their initial zeros so that every branch counts."""
    torch.manual_seed(7)
    model = MntDlReleased(in_channels=in_channels, base_width=8, non_local=non_local)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.0)
                module.bias.uniform_(-0.1, 0.1)
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.8, 1.2)
            elif isinstance(module, nn.Linear):
                module.weight.normal_(0, module.in_features**-0.5)
    return model


def batch(size: int = 2, channels: int = 3, num_slices: int = 26) -> Tensor:
    return torch.randn(size, channels, num_slices, 32, 32, generator=torch.Generator().manual_seed(1))


def slice_by_slice(model: MntDlReleased, x: Tensor) -> MntDlOutput:
    """The released network as its description reads: case by case, neighbourhood by neighbourhood, slice by slice."""
    heads = [model.fc_0_1, model.fc_1_1, model.fc_2_1, model.fc_3_1, model.fc_4_1]
    fusion, subnets = [], []
    for case in x:
        subnet_logits, importance = [], []
        for i, head in enumerate(heads):
            vectors = [model.encode(case[:, z].unsqueeze(0))[0] for z in range(5 * i, 5 * i + 5)]
            attended = attend_by_head(model, torch.stack(vectors))
            subnet_logits.append(head(attended.flatten()))
            importance += [model.fc_0_2(vector) for vector in attended]
        shares = torch.cat(importance).softmax(0)
        fusion.append(model.classifier[1](shares))
        subnets.append(torch.cat(subnet_logits))
    return MntDlOutput(torch.stack(fusion), torch.stack(subnets))


def attend_by_head(model: MntDlReleased, vectors: Tensor) -> Tensor:
    """`[5, F]` plus its four-headed self-attention, one head after the other."""
    query, key, value = model.attn_1.qkv(vectors).chunk(3, dim=1)
    width = vectors.shape[1] // 4
    gathered = []
    for head in range(4):
        own = slice(head * width, (head + 1) * width)
        weights = (query[:, own] @ key[:, own].T / width**0.5).softmax(1)
        gathered.append(weights @ value[:, own])
    return vectors + model.attn_1.proj(torch.cat(gathered, dim=1))


@pytest.mark.parametrize("non_local", [False, True])
def test_folded_pass_equals_slice_by_slice_with_gradients(non_local: bool) -> None:
    folded = small_model(non_local=non_local).double().eval()
    looped = copy.deepcopy(folded)
    x = batch().double()

    ours, reference = folded(x), slice_by_slice(looped, x)
    for output in (ours, reference):
        (output.fusion.square().sum() + output.subnets.square().sum()).backward()

    torch.testing.assert_close(tuple(ours), tuple(reference), rtol=1e-9, atol=1e-12)
    for (name, mine), theirs in zip(folded.named_parameters(), looped.parameters(), strict=True):
        assert mine.grad is not None, name
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-7, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}")


def test_the_encoder_runs_once_for_all_slices_of_a_batch() -> None:
    model, seen = small_model().eval(), []
    model.conv1.register_forward_hook(lambda _module, inputs, _output: seen.append(tuple(inputs[0].shape)))
    model(batch(size=3))
    assert seen == [(3 * 25, 3, 32, 32)]


@pytest.mark.parametrize("base_width", [8, 12])
def test_output_shapes(base_width: int) -> None:
    output = MntDlReleased(in_channels=2, base_width=base_width).eval()(batch(size=3, channels=2))
    assert (output.fusion.shape, output.subnets.shape) == ((3, 1), (3, 5))


def test_slices_beyond_the_twenty_fifth_are_not_looked_at() -> None:
    model, x = small_model().eval(), batch(num_slices=28)
    torch.testing.assert_close(tuple(model(x)), tuple(model(x[:, :, :25])), rtol=0, atol=0)


def test_a_neighbourhood_changes_its_own_subnet_and_the_fusion_only() -> None:
    model, x = small_model().eval(), batch()
    other = x.clone()
    other[:, :, 10:15] += 1
    before, after = model(x), model(other)
    changed = ~torch.isclose(before.subnets, after.subnets, rtol=1e-6, atol=1e-8)
    assert changed.all(dim=0).tolist() == [False, False, True, False, False]
    assert changed.any(dim=0).tolist() == [False, False, True, False, False]
    assert not torch.equal(before.fusion, after.fusion)


@pytest.mark.parametrize("shape", [(2, 3, 24, 32, 32), (2, 2, 26, 32, 32), (3, 26, 32, 32)])
def test_a_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"\[B, 3, Z >= 25, H, W\], got"):
        small_model()(torch.zeros(shape))


def test_dropout_is_for_training_only() -> None:
    x, model = batch(), small_model()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0  # so that only dropout can tell two passes apart
    model.eval()
    assert torch.equal(model(x).fusion, model(x).fusion)
    model.train()
    assert not torch.equal(model(x).fusion, model(x).fusion)
    assert not torch.equal(model(x).subnets, model(x).subnets)


@pytest.mark.parametrize(("training", "expected"), [(True, 0.2), (False, 0.0)])
def test_a_fifth_is_dropped_again_before_the_fusion_head(training: bool, expected: float) -> None:
    model, seen = small_model().train(training), []
    model.fc_0_2.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    model(batch(size=4))
    assert seen[0].eq(0).float().mean().item() == pytest.approx(expected, abs=0.02)


def test_every_weight_is_trained() -> None:
    model = small_model(non_local=True).train()
    output = model(batch())
    (output.fusion.sum() + output.subnets.sum()).backward()
    # Biases before a norm or a softmax cancel out exactly; their gradient is rounding, but it is there.
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []


def test_channels_last_gives_the_same_numbers() -> None:
    model, x = small_model(non_local=True).eval(), batch()
    expected = model(x)
    output = model.to(memory_format=torch.channels_last)(x)
    torch.testing.assert_close(tuple(output), tuple(expected), rtol=1e-4, atol=1e-6)


def test_initialisation_is_the_published_one() -> None:
    torch.manual_seed(3)
    model = MntDlReleased(in_channels=3, base_width=16, non_local=True)
    conv, linear = model.layer4[1].conv1.weight, model.attn_1.qkv.weight
    assert conv.std().item() == pytest.approx((2 / (9 * conv.shape[0])) ** 0.5, rel=0.02)
    assert linear.std().item() == pytest.approx(0.01, rel=0.02)
    zero = [name for name, weight in model.named_parameters() if not weight.any()]
    assert {"layer1.0.bn2.weight", "layer4.2.bn2.weight", "layer3.5.W_z.1.weight", "attn_1.qkv.bias"} <= set(zero)
    assert model.bn1.weight.eq(1).all()


def test_a_fresh_non_local_block_is_the_identity() -> None:
    block = MntDlReleased(in_channels=3, base_width=8, non_local=True).layer3[5].eval()
    x = torch.randn(2, 32, 4, 4)
    assert torch.equal(block(x), x)
