import itertools

import numpy as np
import pytest
import torch
from captum.attr import LayerAttribution
from torch import Tensor, nn

from fpe_core.errors import ModelError, TrainingDiverged
from fpe_core.evaluation.explain.grad_cam import grad_cam
from fpe_core.models import build_model
from fpe_core.models.output import VolumeOutput


def test_a_convolution_of_known_weights_gives_the_map_computed_by_hand(patch_net):
    image = torch.randn(2, 1, 8, 12, 16)
    maps = grad_cam(patch_net, image, layer="features")
    patches = image[:, 0].numpy().reshape(2, 2, 4, 3, 4, 4, 4).mean(axis=(2, 4, 6))
    # Channels are ReLU(mean) and ReLU(-mean); their gradients are the head's weights over the number of cells.
    cells = np.maximum(3.0 * np.maximum(patches, 0) - np.maximum(-patches, 0), 0) / patches[0].size
    expected = LayerAttribution.interpolate(torch.from_numpy(cells)[:, None], (8, 12, 16), "trilinear")[:, 0]
    expected /= expected.amax(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(maps, expected)
    assert maps.dtype == torch.float32


@pytest.mark.parametrize("corner", list(itertools.product((0, 1), repeat=3)))
def test_a_blob_in_a_corner_stays_in_that_corner(patch_net, corner):
    image, inside = torch.zeros(1, 1, 12, 16, 20), torch.zeros(12, 16, 20, dtype=torch.bool)
    inside[tuple(slice(-4, None) if end else slice(4) for end in corner)] = True
    image[0, 0, inside] = 1
    seen = grad_cam(patch_net, image, layer="features")[0] > 0.5
    overlap = 2 * (seen & inside).sum() / (seen.sum() + inside.sum())
    assert overlap > 0.75


def test_each_slice_has_its_own_map_and_unseen_slices_none(slice_net):
    image = torch.zeros(2, 1, 8, 16, 16)
    image[0, 0, 3, 4:8, 8:12] = 2
    image[0, 0, 5, 4:8, 8:12] = 1
    image[1, 0, 0] = 1
    image[:, 0, 7] = 9
    maps = grad_cam(slice_net, image, layer="features")
    assert maps.shape == (2, 8, 16, 16)
    torch.testing.assert_close(maps[0].amax(dim=(1, 2)), torch.tensor([0, 0, 0, 1, 0, 0.5, 0, 0]))
    assert torch.equal(maps[0, 3] > 0.47, image[0, 0, 3] > 0)
    assert (maps[1, 0] == 1).all()
    assert not maps[1, 1:].any()


def test_a_slices_weights_come_from_its_own_gradient(slice_net):
    with torch.no_grad():
        slice_net.slice_head.weight[0] = torch.tensor([1.0, 2.0, 0.0, -1.0, 0.0, 4.0])
    maps = grad_cam(slice_net, torch.ones(1, 1, 6, 8, 8), layer="features")
    torch.testing.assert_close(maps[0, :, 4, 4], torch.tensor([0.25, 0.5, 0.0, 0.0, 0.0, 1.0]))


def test_each_case_is_scaled_by_itself_and_one_with_nothing_stays_zero(patch_net):
    faint, strong, nothing = torch.zeros(3, 1, 8, 8, 8).unbind()
    faint[0, :4, :4, :4], strong[0, :4, :4, :4], nothing[0] = 1e-3, 5.0, -1.0
    maps = grad_cam(patch_net, torch.stack([faint, strong, nothing]), layer="features")
    torch.testing.assert_close(maps[0], maps[1])
    assert maps[0].max() == 1
    assert not maps[2].any()


def test_a_batch_gives_what_its_cases_give_alone():
    torch.manual_seed(0)
    model = build_model("mnt-dl-released", in_channels=2, base_width=8)
    image = torch.randn(3, 2, 25, 64, 64)
    alone = torch.cat([grad_cam(model, one[None]) for one in image])
    torch.testing.assert_close(grad_cam(model, image), alone, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["mnt-dl", "mnt-dl-released", "scanet", "resnet34", "densenet169", "efficientnet-b0"])
def test_every_network_of_the_platform_has_a_default_layer(name):
    torch.manual_seed(0)
    volumes = name in ("densenet169", "efficientnet-b0")
    model = build_model(name, in_channels=2, **({} if volumes else {"base_width": 8}))
    shape = (64, 33, 32) if volumes else (27, 48, 40)
    maps = grad_cam(model, torch.randn(2, 2, *shape))
    assert maps.shape == (2, *shape)
    assert 0 <= maps.min() <= maps.max() <= 1
    if not volumes:
        seen = 25 if name == "mnt-dl-released" else 26
        assert maps[:, :seen].any()
        assert not maps[:, seen:].any()


@pytest.mark.parametrize("layer", ["encoder.layer1", "encoder.layer2"])
def test_an_earlier_stage_gives_a_map_too(layer):
    torch.manual_seed(0)
    model = build_model("mnt-dl", in_channels=2, base_width=8)
    image = torch.randn(1, 2, 26, 32, 32)
    assert not torch.equal(grad_cam(model, image, layer=layer), grad_cam(model, image))


def test_attention_lies_on_what_the_network_was_trained_to_see():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 8, 3, padding=1), nn.ReLU(), _Pool(8))
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    draws = np.random.default_rng(0)
    for _ in range(60):
        image, target, _ = _cases(draws, 8)
        loss = nn.functional.binary_cross_entropy_with_logits(model(image).logits[:, 0], target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    image, target, patch = _cases(draws, 16)
    maps = grad_cam(model, image, layer="3")[target == 1]
    inside = torch.stack([each[where].mean() for each, where in zip(maps, patch[target == 1], strict=True)])
    outside = torch.stack([each[~where].mean() for each, where in zip(maps, patch[target == 1], strict=True)])
    assert (inside > 3 * outside).all()


@pytest.mark.parametrize("name", ["mnt-dl", "efficientnet-b0"])
def test_the_model_is_left_as_it_was(name):
    torch.manual_seed(0)
    model = build_model(name, in_channels=1, **({"base_width": 8} if name == "mnt-dl" else {}))
    model.train()
    next(model.children()).eval()
    first = next(model.parameters())
    first.grad = torch.full_like(first, 7.0)
    list(model.parameters())[1].requires_grad_(False)
    before = _state(model)
    image = torch.randn(1, 1, 32, 32, 32)
    with torch.no_grad():
        grad_cam(model, image)
    after = _state(model)
    assert before[:3] == after[:3]
    assert all(torch.equal(a, b) for a, b in zip(before[3], after[3], strict=True))
    assert (first.grad == 7).all()
    assert not image.requires_grad


def test_it_works_on_a_frozen_model_and_without_gradients(patch_net):
    image = torch.rand(1, 1, 8, 8, 8)
    expected = grad_cam(patch_net, image, layer="features")
    patch_net.requires_grad_(False)
    with torch.no_grad():
        torch.testing.assert_close(grad_cam(patch_net, image, layer="features"), expected)
    assert not any(parameter.requires_grad for parameter in patch_net.parameters())


def test_the_model_is_left_as_it_was_when_it_fails(patch_net):
    patch_net.train()
    with pytest.raises(RuntimeError, match="channels"):
        grad_cam(patch_net, torch.rand(1, 2, 8, 8, 8), layer="features")
    assert patch_net.training
    assert all(parameter.requires_grad for parameter in patch_net.parameters())


def test_what_does_not_fit_is_refused(patch_net):
    image = torch.rand(2, 1, 8, 8, 8)
    with pytest.raises(ModelError, match=r"\[B >= 1, C, Z, H, W\], got \[1, 8, 8, 8\]"):
        grad_cam(patch_net, image[0], layer="features")
    with pytest.raises(ModelError, match="B >= 1"):
        grad_cam(patch_net, image[:0], layer="features")
    with pytest.raises(ModelError, match="no layer 'layer9'") as refused:
        grad_cam(patch_net, image, layer="layer9")
    assert "features, dropout, head" in refused.value.hint
    with pytest.raises(ModelError, match="no layer ''"):
        grad_cam(patch_net, image, layer="")
    with pytest.raises(ModelError, match="PatchNet has no default layer"):
        grad_cam(patch_net, image)
    with pytest.raises(ModelError, match="maps of 2 volumes or of their slices"):
        grad_cam(patch_net, image, layer="dropout")


def test_numbers_that_are_not_finite_are_not_drawn_as_nothing(patch_net):
    with torch.no_grad():
        patch_net.head.weight.fill_(torch.nan)
    with pytest.raises(TrainingDiverged, match="not finite"):
        grad_cam(patch_net, torch.rand(1, 1, 8, 8, 8), layer="features")


class _Pool(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.head = nn.Linear(channels, 1)

    def forward(self, features: Tensor):
        return VolumeOutput(self.head(features.mean(dim=(2, 3, 4))))


def _cases(draws: np.random.Generator, number: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images with a bright patch (label 1) or a dark one (label 0) in noise, labels, and where the patch is."""
    image = torch.from_numpy(draws.normal(0, 0.3, (number, 1, 12, 12, 12)).astype(np.float32))
    patch = torch.zeros(number, 12, 12, 12, dtype=torch.bool)
    for i in range(number):
        z, h, w = draws.integers(1, 7, 3)
        patch[i, z : z + 4, h : h + 4, w : w + 4] = True
        image[i, 0, patch[i]] += 2.0 if i % 2 else -2.0
    return image, torch.arange(number) % 2.0, patch


def _state(model: nn.Module):
    modes = [module.training for module in model.modules()]
    trainable = [parameter.requires_grad for parameter in model.parameters()]
    with_gradient = [parameter.grad is not None for parameter in model.parameters()]
    hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()]
    return modes, trainable, (with_gradient, hooks), [tensor.clone() for tensor in model.state_dict().values()]
