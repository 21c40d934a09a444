import numpy as np
import pytest
import torch
from captum.attr import LayerAttribution
from torch import nn

from fpe_core.evaluation.explain.layers import find_layer, halvings_of
from fpe_core.evaluation.explain.placement import cell_centres, centred, padded_behind, paired, place
from fpe_core.models import build_model


def test_without_halvings_it_is_captums_linear_interpolation():
    maps = torch.rand(2, 3, 4, 5)
    expected = LayerAttribution.interpolate(maps[:, None], (12, 10, 31), "trilinear")[:, 0]
    torch.testing.assert_close(place(maps, (12, 10, 31), ()), expected)


@pytest.mark.parametrize("halving", [centred, paired, padded_behind])
def test_a_kernel_of_one_tap_ends_up_where_the_centres_say(halving):
    ramp = torch.arange(21.0)[None, None]
    layer = {
        centred: nn.Sequential(nn.ConstantPad1d((1, 1), 0), _tap(3)),
        paired: nn.AvgPool1d(2),
        padded_behind: nn.Sequential(nn.ConstantPad1d((0, 1), 0), _tap(3)),
    }[halving]
    cells = layer(ramp)[0, 0].detach().numpy()
    np.testing.assert_allclose(cell_centres(len(cells), 21, (halving,)), cells, atol=1e-6)


def test_the_halvings_stop_at_the_layers_own_size():
    np.testing.assert_array_equal(cell_centres(8, 32, (centred,) * 5), np.arange(8) * 4)
    np.testing.assert_array_equal(cell_centres(1, 32, (centred,) * 5), [0])


def test_halvings_that_lead_elsewhere_divide_the_axis_evenly():
    np.testing.assert_allclose(cell_centres(6, 24, (paired,)), 1.5 + 4 * np.arange(6))
    np.testing.assert_allclose(cell_centres(5, 15, (centred,) * 5), 1 + 3 * np.arange(5))


def test_a_cells_peak_lies_on_its_centre_and_the_border_is_constant():
    maps = torch.zeros(1, 7, 7)
    maps[0, 2, 6] = 1
    placed = place(maps, (224, 224), (centred,) * 5)
    assert np.unravel_index(int(placed.argmax()), (224, 224)) == (64, 192)
    assert (placed[0, 64, 192:] == 1).all()
    assert placed[0, 80, 192] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("mnt-dl-released", {"base_width": 8}, (25, 128, 97)),
        ("densenet169", {}, (64, 70, 97)),
        ("efficientnet-b0", {}, (64, 70, 97)),
    ],
)
def test_our_networks_cells_lie_where_the_table_says(name, options, size):
    """Convolutions are reduced to their middle tap: the gradient of a cell then marks its centre in the image."""
    model = _reduced_to_middle_taps(build_model(name, in_channels=1, **options))
    image = torch.ones(1, 1, *size, requires_grad=True)
    cells = _features(model, image)
    index = tuple(length // 2 for length in cells.shape[2:])
    (gradient,) = torch.autograd.grad(cells[(0, slice(None), *index)].sum(), image)
    marks = gradient[0, 0] if cells.ndim == 5 else gradient[0, 0, 0]
    axes = size if cells.ndim == 5 else size[1:]
    for axis, length in enumerate(axes):
        profile = marks.sum(dim=[other for other in range(len(axes)) if other != axis]).numpy()
        centre = (profile * np.arange(length)).sum() / profile.sum()
        expected = cell_centres(cells.shape[2 + axis], length, halvings_of(model))[index[axis]]
        assert centre == pytest.approx(expected, abs=1e-3)


def _tap(size: int) -> nn.Conv1d:
    layer = nn.Conv1d(1, 1, size, stride=2, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[..., size // 2] = 1
    return layer


@torch.no_grad()
def _reduced_to_middle_taps(model: nn.Module) -> nn.Module:
    for path, module in list(model.named_modules()):
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            module.weight.zero_()
            middle = tuple(size // 2 for size in module.kernel_size)
            if "_se_" not in path:
                module.weight[(slice(None), slice(None), *middle)] = 1 / module.weight.shape[1]
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.weight.fill_(1)
        elif isinstance(module, nn.MaxPool2d | nn.MaxPool3d):
            # A maximum has no centre where all is equal; a mean over the same window does.
            kind = nn.AvgPool2d if isinstance(module, nn.MaxPool2d) else nn.AvgPool3d
            parent, _, child = path.rpartition(".")
            setattr(model.get_submodule(parent), child, kind(3, stride=2, padding=1))
    return model.eval()


def _features(model: nn.Module, image: torch.Tensor) -> torch.Tensor:
    found: list[torch.Tensor] = []
    handle = find_layer(model, None).register_forward_hook(lambda _, __, output: found.append(output))
    model(image)
    handle.remove()
    return found[0]
