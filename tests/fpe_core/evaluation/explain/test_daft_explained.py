import numpy as np
import pytest
import torch
from captum.attr import LayerAttribution

from fpe_core.data.dataset import Sample
from fpe_core.errors import ModelError, NotEnoughCases
from fpe_core.evaluation.explain.daft import contributions, daft_attribution, grad_cam_around_daft
from fpe_core.evaluation.explain.grad_cam import grad_cam
from fpe_core.models import build_model

COLUMNS = ("age_years", "nihss", "atrial_fibrillation")


def test_scale_one_and_shift_zero_make_both_maps_the_same(with_fixed_daft):
    net, image, tabular = with_fixed_daft([1.0, 1.0], [0.0, 0.0]), torch.randn(2, 1, 8, 8, 12), torch.rand(2, 3)
    maps = grad_cam_around_daft(net, image, tabular)
    assert maps.before.amax(dim=(1, 2, 3)).tolist() == [1, 1]
    torch.testing.assert_close(maps.before, maps.after)
    torch.testing.assert_close(maps.before, grad_cam(net, image, tabular, layer="features"))


def test_scale_zero_leaves_no_attention_before_and_no_place_after(with_fixed_daft):
    image, tabular = torch.randn(1, 1, 8, 8, 8), torch.rand(1, 3)
    net = with_fixed_daft([0.0, 0.0], [0.0, 0.0])
    assert not any(each.any() for each in grad_cam_around_daft(net, image, tabular))
    shifted = with_fixed_daft([0.0, 0.0], net.head.weight[0].tolist())
    maps = grad_cam_around_daft(shifted, image, tabular)
    assert not maps.before.any()
    assert (maps.after == 1).all()


def test_each_map_is_the_one_computed_by_hand(with_fixed_daft):
    net, image = with_fixed_daft([2.0, -0.5], [0.3, -0.2]), torch.randn(1, 1, 8, 8, 8)
    with torch.no_grad():
        features, head = net.features(image)[0], net.head.weight[0]
    scale, shift = torch.tensor([2.0, -0.5]), torch.tensor([0.3, -0.2])
    maps = grad_cam_around_daft(net, image, torch.rand(1, 3))
    by_hand = {
        "before": torch.einsum("c,czhw->zhw", head * scale, features),
        "after": torch.einsum("c,czhw->zhw", head, features * scale[:, None, None, None] + shift[:, None, None, None]),
    }
    for name, cells in by_hand.items():
        expected = LayerAttribution.interpolate(cells.relu()[None, None], (8, 8, 8), "trilinear")[:, 0]
        torch.testing.assert_close(getattr(maps, name), expected / expected.max())


@pytest.mark.parametrize(
    ("name", "stage", "layer"),
    [("densenet169", None, None), ("efficientnet-b0", None, None), ("efficientnet-b0", 3, "network._blocks.2")],
)
def test_our_networks_map_before_daft_is_grad_cam_of_that_layer(name, stage, layer):
    torch.manual_seed(0)
    model = build_model(name, in_channels=1, daft=True, num_tabular=3, daft_stage=stage)
    image, tabular = torch.randn(2, 1, 64, 40, 33), torch.rand(2, 3)
    maps = grad_cam_around_daft(model, image, tabular)
    torch.testing.assert_close(maps.before, grad_cam(model, image, tabular, layer=layer), atol=1e-5, rtol=1e-4)
    assert maps.after.shape == (2, 64, 40, 33)
    assert 0 <= maps.after.min() <= maps.after.max() <= 1


@pytest.mark.parametrize("network", ["small", "efficientnet-b0"])
def test_gradients_agree_with_finite_differences(daft_net, network):
    torch.manual_seed(1)
    model = daft_net if network == "small" else build_model(network, in_channels=1, daft=True, num_tabular=3)
    model.eval()
    torch.nn.init.normal_(model.daft.w2.weight)
    image, tabular = torch.randn(2, 1, 32, 32, 32), torch.rand(2, 3)
    found = daft_attribution(model, image, tabular)
    step = 1e-3
    with torch.no_grad():
        size = model.explain(image, tabular).before.mean(dim=(2, 3, 4)).abs()
        for column in range(3):
            moved = torch.zeros(3)
            moved[column] = step
            up, down = (model.explain(image, tabular + sign * moved) for sign in (1, -1))
            by_scale, by_shift = (up.scale - down.scale) / (2 * step), (up.shift - down.shift) / (2 * step)
            close = {"atol": 3e-3, "rtol": 1e-2}
            torch.testing.assert_close(found.scale[:, column], by_scale.mean(dim=1).float(), **close)
            torch.testing.assert_close(found.shift[:, column], by_shift.mean(dim=1).float(), **close)
            expected = (by_scale.abs() * size + by_shift.abs()).mean(dim=1).float()
            torch.testing.assert_close(found.contribution[:, column], expected, **close)


def test_contributions_are_the_hand_computed_means_over_cases(with_fixed_daft):
    a_scale = torch.tensor([[1.0, -2.0, 0.0], [-3.0, 0.5, 0.0]])
    a_shift = torch.tensor([[0.1, 0.0, 0.0], [-0.2, 0.4, 0.0]])
    net = with_fixed_daft([1.0, 1.0], [0.0, 0.0], a_scale, a_shift)
    images = torch.randn(3, 1, 8, 8, 8)
    with torch.no_grad():
        mean = net.features(images).mean(dim=(2, 3, 4)).mean(dim=0)
    # Signs do not cancel between the channels, and a column that moves nothing has no contribution.
    expected = [
        float((1 * mean[0] + 0.1 + 3 * mean[1] + 0.2) / 2),
        float((2 * mean[0] + 0.5 * mean[1] + 0.4) / 2),
        0.0,
    ]
    found = contributions(net, _batches(images, (2, 1)), COLUMNS)
    assert tuple(each.column for each in found) == COLUMNS
    np.testing.assert_allclose([each.value for each in found], expected, rtol=1e-5)


def test_signed_gradients_are_means_over_channels(with_fixed_daft):
    a_scale = torch.tensor([[1.0, -2.0, 0.0], [-3.0, 0.5, 0.0]])
    net = with_fixed_daft([1.0, 1.0], [0.0, 0.0], a_scale, -2 * a_scale)
    found = daft_attribution(net, torch.randn(2, 1, 8, 8, 8), torch.rand(2, 3))
    torch.testing.assert_close(found.scale, torch.tensor([[-1.0, -0.75, 0.0]]).expand(2, 3))
    torch.testing.assert_close(found.shift, torch.tensor([[2.0, 1.5, 0.0]]).expand(2, 3))


def test_features_below_zero_do_not_lower_a_contribution(with_fixed_daft):
    net = with_fixed_daft([1.0, 1.0], [0.0, 0.0], torch.eye(2, 3))
    net.features[1] = torch.nn.Identity()
    image, tabular = torch.randn(1, 1, 8, 8, 8), torch.rand(1, 3)
    positive = daft_attribution(net, image, tabular).contribution
    torch.testing.assert_close(daft_attribution(net, -image, tabular).contribution, positive)
    assert (positive[0, :2] > 0).all()


def test_how_cases_are_batched_does_not_matter(daft_net):
    images = torch.randn(5, 1, 8, 8, 8)
    together, apart = (contributions(daft_net, _batches(images, sizes), COLUMNS) for sizes in ((5,), (2, 1, 2)))
    np.testing.assert_allclose([each.value for each in together], [each.value for each in apart], rtol=1e-5)


def test_the_model_is_left_as_it_was(daft_net):
    daft_net.train()
    daft_net.head.weight.grad = torch.ones(1, 2)
    daft_net.head.bias.requires_grad_(False)
    image, tabular = torch.rand(1, 1, 8, 8, 8), torch.rand(1, 3)
    with torch.no_grad():
        grad_cam_around_daft(daft_net, image, tabular)
        daft_attribution(daft_net, image, tabular)
    assert all(module.training for module in daft_net.modules())
    gradients = {name: parameter.grad for name, parameter in daft_net.named_parameters() if parameter.grad is not None}
    assert list(gradients) == ["head.weight"]
    assert (gradients["head.weight"] == 1).all()
    assert [name for name, one in daft_net.named_parameters() if not one.requires_grad] == ["head.bias"]
    assert not tabular.requires_grad
    assert not daft_net.daft._forward_pre_hooks


def test_what_does_not_fit_is_refused(daft_net, patch_net):
    image, tabular = torch.rand(2, 1, 8, 8, 8), torch.rand(2, 3)
    with pytest.raises(ModelError, match="PatchNet has no DAFT"):
        grad_cam_around_daft(patch_net, image, tabular)
    with pytest.raises(ModelError, match="DenseNet169 has no DAFT"):
        daft_attribution(build_model("densenet169", in_channels=1), image, tabular)
    with pytest.raises(ModelError, match=r"tabular should be \[2, T >= 1\] beside the images, got \[1, 3\]"):
        daft_attribution(daft_net, image, tabular[:1])
    with pytest.raises(ModelError, match=r"got \[2, 0\]"):
        grad_cam_around_daft(daft_net, image, tabular[:, :0])
    with pytest.raises(ModelError, match="image should be"):
        daft_attribution(daft_net, image[0], tabular)
    with pytest.raises(ModelError, match="should name the 3 of the samples, got 2"):
        contributions(daft_net, _batches(image, (2,)), COLUMNS[:2])
    with pytest.raises(NotEnoughCases, match="there is none"):
        contributions(daft_net, [], COLUMNS)


def _batches(images, sizes):
    tabular = torch.linspace(0, 1, 3 * len(images)).view(-1, 3)
    for image, columns in zip(images.split(sizes), tabular.split(sizes), strict=True):
        yield Sample(image, torch.zeros(len(image)), columns)
