"""The folded forward pass against a readable one that takes slice by slice, and the network's other promises."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fpe_core.errors import ModelError
from fpe_core.models.norm import use_group_norm
from fpe_core.models.scanet import ScaNet

Roughen = Callable[[nn.Module], nn.Module]
MakeImages = Callable[..., Tensor]
DIVISIONS = {(26, 5): [6, 5, 5, 5, 5], (25, 5): [5] * 5, (10, 3): [4, 3, 3], (7, 7): [1] * 7}
each_division = pytest.mark.parametrize(("num_slices", "num_neighbourhoods"), DIVISIONS)


def small_model(num_slices: int = 10, num_neighbourhoods: int = 3, *, in_channels: int = 2) -> ScaNet:
    torch.manual_seed(7)
    return ScaNet(
        in_channels=in_channels, base_width=8, num_slices=num_slices, num_neighbourhoods=num_neighbourhoods
    ).eval()


def one_by_one(model: ScaNet, x: Tensor, sizes: list[int]) -> Tensor:
    """The network as its description reads: case by case, neighbourhood by neighbourhood, slice by slice."""
    logits = []
    for case in x:
        outputs, scores, first = [], [], 0
        for size in sizes:
            own = torch.stack([slice_vector(model, case[:, z]) for z in range(first, first + size)])
            branch = model.branch_norm(branch_vector(model, own))
            outputs.append(model.branch_head(branch))
            scores.append(model.branch_score(branch))
            first += size
        weights = torch.cat(scores).softmax(0)
        logits.append((weights * torch.cat(outputs)).sum(dim=0, keepdim=True))
    return torch.stack(logits)


def slice_vector(model: ScaNet, image: Tensor) -> Tensor:
    """`[C, H, W]` to `[F]`, the spatial transformer position by position."""
    encoder = model.encoder
    maps = encoder.layer3[:6](encoder.layer2(encoder.low_level(image.unsqueeze(0))))
    transformer = encoder.layer3[6]
    places = [(i, j) for i in range(maps.shape[2]) for j in range(maps.shape[3])]
    tokens = torch.stack([maps[0, :, i, j] for i, j in places])
    tokens = tokens + transformer.attention(transformer.attention_norm(tokens).unsqueeze(0))[0]
    after = torch.zeros_like(maps)
    for token, (i, j) in zip(tokens, places, strict=True):
        after[0, :, i, j] = token + transformer.feed_forward(transformer.feed_forward_norm(token))
    return encoder.layer4(after)[0].mean(dim=(1, 2))


def branch_vector(model: ScaNet, own: Tensor) -> Tensor:
    """The slices' vectors `[size, F]` of one neighbourhood to its own `[F]`; no mask, for there are no others."""
    part, mean = model.neighbourhoods, own.mean(dim=0)
    query = part.query_norm(mean + part.query)
    vector = mean + part.attention(query.view(1, 1, -1), part.slice_norm(own).unsqueeze(0))[0, 0]
    return vector + part.feed_forward(part.feed_forward_norm(vector))


@each_division
def test_folded_pass_equals_one_by_one_with_gradients(
    num_slices: int, num_neighbourhoods: int, roughened: Roughen, images: MakeImages
) -> None:
    folded = roughened(small_model(num_slices, num_neighbourhoods)).double()
    looped = copy.deepcopy(folded)
    x = images(num_slices=num_slices, side=40).double()
    ours, reference = folded(x).logits, one_by_one(looped, x, DIVISIONS[num_slices, num_neighbourhoods])
    for logits in (ours, reference):
        logits.square().sum().backward()
    # The averaging weights are float32 numbers.
    torch.testing.assert_close(ours, reference, rtol=1e-6, atol=1e-7)
    for (name, mine), theirs in zip(folded.named_parameters(), looped.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


@each_division
def test_output_shapes(num_slices: int, num_neighbourhoods: int, images: MakeImages) -> None:
    model = small_model(num_slices, num_neighbourhoods, in_channels=3)
    x = images(3, channels=3, num_slices=num_slices + 1)
    output = model(x)
    assert (output.logits.shape, output.subnets) == ((3, 1), None)
    assert model.embed(x).shape == (3, model.embedding_size) == (3, num_neighbourhoods * 64)
    assert model.slice_importance(x).shape == (3, num_slices)


def test_each_stage_runs_once_for_all_slices_of_a_batch(images: MakeImages) -> None:
    model, seen = small_model(26, 5), []
    for stage in (model.encoder.conv1, model.encoder.layer4):
        stage.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    model(images(3))
    assert seen == [3 * 26, 3 * 26]


def test_branches_share_their_weights_so_their_order_does_not_matter(roughened: Roughen, images: MakeImages) -> None:
    model, x = roughened(small_model(9, 3)), images(num_slices=9)
    turned = x.unflatten(2, (3, 3)).roll(1, dims=2).flatten(2, 3)
    there, here = (model.embed(image).unflatten(1, (3, -1)) for image in (turned, x))
    torch.testing.assert_close(there, here.roll(1, dims=1))
    torch.testing.assert_close(model(turned).logits, model(x).logits)


def test_the_division_brings_no_weights() -> None:
    one, many = (sum(p.numel() for p in small_model(10, k).parameters()) for k in (1, 10))
    assert one == many


def test_a_slice_changes_its_own_branch_only(roughened: Roughen, images: MakeImages) -> None:
    model, x = roughened(small_model()), images(num_slices=10)
    other = x.clone()
    other[:, :, 4] += 1
    same = torch.isclose(model.embed(other), model.embed(x), rtol=1e-5, atol=1e-6).unflatten(1, (3, -1))
    assert same.all(dim=2).tolist() == [[True, False, True]] * 2


def test_importance_adds_up_to_one_in_each_neighbourhood(roughened: Roughen, images: MakeImages) -> None:
    model, x = small_model(), images(num_slices=10)
    for network in (model, roughened(model)):
        importance = network.slice_importance(x)
        sums = torch.stack([own.sum(dim=1) for own in importance.split([4, 3, 3], dim=1)], dim=1)
        torch.testing.assert_close(sums, torch.ones(2, 3))
        assert (importance > 0).all()
    assert importance[:, :4].std() > 0.005


def test_importance_follows_the_slice_that_changes(roughened: Roughen, images: MakeImages) -> None:
    model, x = roughened(small_model()), images(num_slices=10)
    other = x.clone()
    other[:, :, 4] *= 3
    moved = (model.slice_importance(other) - model.slice_importance(x)).abs()
    assert (moved[:, 4] > 1e-3).all()
    assert moved[:, :4].max() < 1e-6
    assert moved[:, 7:].max() < 1e-6


def test_slices_beyond_the_last_are_not_looked_at(images: MakeImages) -> None:
    model, x = small_model(), images(num_slices=12)
    assert torch.equal(model(x).logits, model(x[:, :, :10]).logits)


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
    assert torch.equal(model(x).logits, model(x).logits)
    model.train()
    assert not torch.equal(model(x).logits, model(x).logits)


def test_an_untrained_spatial_transformer_is_the_identity() -> None:
    transformer = small_model().encoder.layer3[6]
    x = torch.randn(2, 32, 4, 4)
    assert torch.equal(transformer(x), x)


def test_gradients_reach_every_parameter(roughened: Roughen, images: MakeImages) -> None:
    model = roughened(small_model())
    model(images(num_slices=10, side=64)).logits.square().sum().backward()
    # A key's bias moves all scores of a query alike, which the softmax does not see.
    dead = [n for n, p in model.named_parameters() if p.grad.abs().max() < 1e-9 and not n.endswith(".key.bias")]
    assert dead == []


def test_one_pass_gives_the_same_numbers_in_bfloat16(roughened: Roughen, images: MakeImages) -> None:
    model, x = roughened(small_model(26, 5)), images(8)
    expected = model(x).logits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(x).logits
    torch.testing.assert_close(logits.float(), expected, rtol=0.02, atol=0.02 * expected.abs().max().item())


def test_channels_last_gives_the_same_numbers(roughened: Roughen, images: MakeImages) -> None:
    model, x = roughened(small_model()), images(num_slices=10)
    expected = model(x).logits
    logits = model.to(memory_format=torch.channels_last)(x).logits
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_all_branches_weigh_the_same_at_first(images: MakeImages) -> None:
    model, x = small_model(), images(num_slices=10)
    branches = model.branch_norm(model.embed(x).unflatten(1, (3, -1)))
    torch.testing.assert_close(model(x).logits, model.branch_head(branches).mean(dim=1))


def test_a_branch_with_a_high_score_decides(roughened: Roughen, images: MakeImages) -> None:
    model, x = roughened(small_model()), images(num_slices=10)
    nn.init.normal_(model.branch_score.weight, std=1000)
    branches = model.branch_norm(model.embed(x).unflatten(1, (3, -1)))
    logits, chosen = model.branch_head(branches), model.branch_score(branches).argmax(dim=1, keepdim=True)
    torch.testing.assert_close(model(x).logits, logits.gather(1, chosen).squeeze(1))
