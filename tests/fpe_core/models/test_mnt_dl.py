"""The folded forward pass against a readable one that takes slice by slice, and the network's other promises."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fpe_core.errors import ModelError
from fpe_core.models.mnt_dl import MntDl
from fpe_core.models.norm import use_group_norm
from fpe_core.models.output import MntDlOutput

Roughen = Callable[[nn.Module], nn.Module]
MakeImages = Callable[..., Tensor]
DIVISIONS = {(26, 5): [6, 5, 5, 5, 5], (25, 5): [5] * 5, (10, 3): [4, 3, 3], (7, 7): [1] * 7}
UNSEEN = (".key.bias", ".theta.bias", ".phi.bias")
"""What moves all scores of a softmax alike: its gradient is rounding."""
each_division = pytest.mark.parametrize(("num_slices", "num_neighbourhoods"), DIVISIONS)


def small_model(num_slices: int = 10, num_neighbourhoods: int = 3, *, in_channels: int = 2) -> MntDl:
    torch.manual_seed(7)
    return MntDl(
        in_channels=in_channels, base_width=8, num_slices=num_slices, num_neighbourhoods=num_neighbourhoods
    ).eval()


def one_by_one(model: MntDl, x: Tensor) -> MntDlOutput:
    """The network as its description reads: case by case, neighbourhood by neighbourhood, slice by slice."""
    sizes = DIVISIONS[model.num_slices, len(model.subnet_heads.bias)]
    fusion, subnets = [], []
    for case in x:
        low = [model.encoder.low_level(case[:, z].unsqueeze(0)) for z in range(model.num_slices)]
        tokens = slice_tokens(model, low, sizes)
        importance = torch.cat([model.importance(token) for token in tokens]).softmax(0)
        seen, subnet_logits, first = [sum(a * token for a, token in zip(importance, tokens, strict=True))], [], 0
        for k, size in enumerate(sizes):
            own = range(first, first + size)
            vectors = [model.encoder.high_level(low[z])[0] for z in own]
            mean = sum(vectors) / size
            weighted = [model.num_slices * importance[z] * v for z, v in zip(own, vectors, strict=True)]
            seen.append(sum(weighted) / size)
            subnet_logits.append(model.subnet_heads(model.subnet_norm(mean))[k])
            first += size
        fusion.append(model.fusion_head(model.fusion_norm(torch.cat(seen))))
        subnets.append(torch.stack(subnet_logits))
    return MntDlOutput(torch.stack(fusion), torch.stack(subnets))


def slice_tokens(model: MntDl, low: list[Tensor], sizes: list[int]) -> list[Tensor]:
    """What the three scales of one case say about each slice."""
    cross, grid = model.cross_scale, range(4)
    side = low[0].shape[-1] // 4
    blocks = [m[0, :, side * i : side * (i + 1), side * j : side * (j + 1)] for m in low for i in grid for j in grid]
    slices = [m[0].mean(dim=(1, 2)) for m in low]
    neighbourhoods = [torch.stack(part).mean(dim=0) for part in split(slices, sizes)]
    regions = cross.regions(torch.stack([block.mean(dim=(1, 2)) for block in blocks]).unsqueeze(0))
    middle, coarse = (
        scale(torch.stack(means).unsqueeze(0))
        for scale, means in ((cross.slices, slices), (cross.neighbourhoods, neighbourhoods))
    )
    others = torch.cat([cross.regions.gather(regions, middle), cross.neighbourhoods.gather(coarse, middle)], dim=1)
    return [model.importance_norm(cross.slices.gather(middle[:, z : z + 1], others)[0, 0]) for z in range(len(low))]


def split(items: list[Tensor], sizes: list[int]) -> list[list[Tensor]]:
    rest = iter(items)
    return [[next(rest) for _ in range(size)] for size in sizes]


@each_division
def test_folded_pass_equals_one_by_one_with_gradients(
    num_slices: int, num_neighbourhoods: int, roughened: Roughen, images: MakeImages
) -> None:
    folded = roughened(small_model(num_slices, num_neighbourhoods)).double()
    looped = copy.deepcopy(folded)
    x = images(num_slices=num_slices).double()
    ours, reference = folded(x), one_by_one(looped, x)
    for output in (ours, reference):
        (output.fusion.square().sum() + output.subnets.square().sum()).backward()
    # The averaging weights are float32 numbers.
    torch.testing.assert_close(tuple(ours), tuple(reference), rtol=1e-6, atol=1e-7)
    for (name, mine), theirs in zip(folded.named_parameters(), looped.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


@each_division
def test_output_shapes(num_slices: int, num_neighbourhoods: int, images: MakeImages) -> None:
    model = small_model(num_slices, num_neighbourhoods, in_channels=3)
    x = images(3, channels=3, num_slices=num_slices + 1)
    output = model(x)
    assert (output.logits.shape, output.subnets.shape) == ((3, 1), (3, num_neighbourhoods))
    assert model.embed(x).shape == (3, model.embedding_size) == (3, num_neighbourhoods * 64)
    assert model.slice_importance(x).shape == (3, num_slices)


def test_each_stage_runs_once_for_all_slices_of_a_batch(images: MakeImages) -> None:
    model, seen = small_model(26, 5), []
    for stage in (model.encoder.conv1, model.encoder.layer4):
        stage.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    model(images(3))
    assert seen == [3 * 26, 3 * 26]


def test_local_networks_share_their_weights(roughened: Roughen, images: MakeImages) -> None:
    model, x = roughened(small_model(9, 3)), images(num_slices=9)
    turned = x.unflatten(2, (3, 3)).roll(1, dims=2).flatten(2, 3)
    there, here = (model.embed(image).unflatten(1, (3, -1)) for image in (turned, x))
    torch.testing.assert_close(there, here.roll(1, dims=1))


def test_more_neighbourhoods_bring_no_more_local_weights() -> None:
    few, many = (sum(p.numel() for p in small_model(10, k).encoder.parameters()) for k in (1, 10))
    assert few == many


def test_a_neighbourhood_changes_its_own_subnet_and_the_fusion_only(roughened: Roughen, images: MakeImages) -> None:
    model, x = roughened(small_model(26, 5)), images()
    other = x.clone()
    other[:, :, 11:16] += 1
    before, after = model(x), model(other)
    changed = ~torch.isclose(before.subnets, after.subnets, rtol=1e-5, atol=1e-6)
    assert changed.tolist() == [[False, False, True, False, False]] * 2
    assert not torch.isclose(before.fusion, after.fusion).any()


def test_slices_beyond_the_last_are_not_looked_at(images: MakeImages) -> None:
    model, x = small_model(), images(num_slices=12)
    torch.testing.assert_close(tuple(model(x)), tuple(model(x[:, :, :10])), rtol=0, atol=0)


def test_importance_adds_up_to_one_and_is_equal_at_first(roughened: Roughen, images: MakeImages) -> None:
    model, x = small_model(), images(num_slices=10)
    torch.testing.assert_close(model.slice_importance(x), torch.full((2, 10), 0.1))
    importance = roughened(model).slice_importance(x)
    torch.testing.assert_close(importance.sum(dim=1), torch.ones(2))
    assert importance.std() > 0.01


def test_importance_follows_the_slice_that_changes(images: MakeImages) -> None:
    model, x = small_model(), images(num_slices=10)
    nn.init.normal_(model.importance.weight)
    other = x.clone()
    other[:, :, 4] *= 3
    ratio = model.slice_importance(other) / model.slice_importance(x)
    rest = [z for z in range(10) if z != 4]
    # Attention starts at zero: each slice is judged alone, and the other slices' importance is only scaled.
    torch.testing.assert_close(ratio[:, rest], ratio[:, :1].expand(2, 9))
    assert ((ratio[:, 4] / ratio[:, 0]).log().abs() > 0.05).all()


def test_the_fusion_weighs_slices_by_importance() -> None:
    """With all importance on one slice, the others' local vectors do not count."""
    model = small_model()
    local = torch.randn(2, 10, 64)
    tokens = torch.zeros(2, 10, 32)
    tokens[:, 6, 0] = 1
    with torch.no_grad():
        model.importance.weight[0, 0] = 200.0
    other = local.clone()
    other[:, [0, 5, 7]] += 1
    torch.testing.assert_close(model._fusion(tokens, local), model._fusion(tokens, other))
    other[:, 6, :32] += 1
    assert not torch.isclose(model._fusion(tokens, local), model._fusion(tokens, other)).any()


@pytest.mark.parametrize("shape", [(2, 2, 9, 32, 32), (2, 3, 10, 32, 32), (2, 10, 32, 32)])
def test_a_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    for call in (small_model(), small_model().embed, small_model().slice_importance):
        with pytest.raises(ModelError, match=r"\[B, 2, Z >= 10, H, W\], got"):
            call(torch.zeros(shape))


def test_more_neighbourhoods_than_slices_are_refused() -> None:
    with pytest.raises(ModelError, match=r"from 1 to num_slices \(4\), got 5"):
        small_model(4, 5)


def test_dropout_is_for_training_only(images: MakeImages) -> None:
    model, x = use_group_norm(small_model()), images(num_slices=10)
    assert torch.equal(model(x).fusion, model(x).fusion)
    model.train()
    assert not torch.equal(model(x).fusion, model(x).fusion)
    assert not torch.equal(model(x).subnets, model(x).subnets)


def test_gradients_reach_every_parameter(roughened: Roughen, images: MakeImages) -> None:
    model = roughened(small_model())
    output = model(images(num_slices=10, side=64))
    (output.fusion.square().sum() + output.subnets.square().sum()).backward()
    assert [n for n, p in model.named_parameters() if p.grad.abs().max() < 1e-9 and not n.endswith(UNSEEN)] == []


def test_what_starts_at_zero_moves_within_a_few_steps(images: MakeImages) -> None:
    model = small_model().train()
    optimiser, x = torch.optim.SGD(model.parameters(), lr=0.1), images(num_slices=10, side=64)
    for _ in range(4):
        optimiser.zero_grad()
        output = model(x)
        (output.fusion.square().sum() + output.subnets.square().sum() + output.fusion.sum()).backward()
        optimiser.step()
    assert [n for n, p in model.named_parameters() if not p.any() and not n.endswith(UNSEEN)] == []


def test_one_step_gives_the_same_numbers_in_bfloat16(roughened: Roughen, images: MakeImages) -> None:
    model, x = roughened(small_model(26, 5)), images()
    expected = model(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(x)
    scale = expected.subnets.std().item()
    for got, want in zip(output, expected, strict=True):
        torch.testing.assert_close(got.float(), want, rtol=0.05, atol=0.05 * scale)


def test_channels_last_gives_the_same_numbers(roughened: Roughen, images: MakeImages) -> None:
    model, x = roughened(small_model()), images(num_slices=10)
    expected = model(x)
    output = model.to(memory_format=torch.channels_last)(x)
    torch.testing.assert_close(tuple(output), tuple(expected), rtol=1e-4, atol=1e-5)


def test_a_fresh_network_says_one_half() -> None:
    model = small_model(26, 5)
    output = model(torch.randn(4, 2, 26, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert output.logits.sigmoid().flatten().tolist() == pytest.approx([0.5] * 4, abs=0.2)
    assert output.logits.any()
