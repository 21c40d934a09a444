"""DAFT against its equations in NumPy, and where it starts from."""

import numpy as np
import pytest
import torch
from torch import Tensor

from fpe_core.errors import ModelError
from fpe_core.models.daft import Daft


def daft_and_inputs() -> tuple[Daft, Tensor, Tensor]:
    """With W2 away from its initial values, so that B is not 0."""
    torch.manual_seed(5)
    daft = Daft(6, 3, bottleneck=8)
    torch.nn.init.normal_(daft.w2.weight)
    return daft, torch.randn(2, 6, 3, 4, 5), torch.rand(2, 3)


def test_equations() -> None:
    daft, features, tabular = daft_and_inputs()
    after, scale, shift = daft(features, tabular)

    w1, w2 = daft.w1.weight.detach().numpy(), daft.w2.weight.detach().numpy()
    for case in range(2):
        f, t = features[case].numpy(), tabular[case].numpy()
        p = f.reshape(6, -1).mean(axis=1)
        x = np.maximum(w1 @ np.concatenate([p, t]), 0)
        s, b = np.split(w2 @ x, 2)
        expected = np.stack([f[c] * s[c] + b[c] for c in range(6)])
        np.testing.assert_allclose(scale[case].detach(), s, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(shift[case].detach(), b, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(after[case].detach(), expected, rtol=1e-4, atol=1e-5)


def test_there_is_no_bias() -> None:
    assert {name: list(weight.shape) for name, weight in Daft(6, 3, bottleneck=8).named_parameters()} == {
        "w1.weight": [8, 9],
        "w2.weight": [12, 8],
    }


def test_a_case_does_not_depend_on_its_neighbours() -> None:
    daft, features, tabular = daft_and_inputs()
    torch.testing.assert_close(daft(features, tabular)[0][1:], daft(features[1:], tabular[1:])[0])


def test_an_untrained_module_is_near_the_identity() -> None:
    torch.manual_seed(1)
    scales, shifts = [], []
    features = torch.randn(4, 1280, 2, 2, 2) * (8 / 3) ** 0.5  # the mean of 8 voxels then has a mean square of 1/3
    for _ in range(20):
        _, scale, shift = Daft(1280, 18)(features, torch.rand(4, 18))
        scales.append(scale.detach())
        shifts.append(shift.detach())
    scale = torch.stack(scales)
    assert scale.mean().item() == pytest.approx(1.0, abs=0.1)
    assert scale.std(dim=2).mean().item() < 0.35
    assert scale.var(dim=2).min().item() > 0  # channels differ from the start
    assert not torch.stack(shifts).any()


def test_image_and_table_have_equal_say_at_first() -> None:
    torch.manual_seed(2)
    weight = Daft(1280, 18).w1.weight
    image, table = weight[:, :1280].square().sum(1).mean(), weight[:, 1280:].square().sum(1).mean()
    assert image.item() == pytest.approx(1.5, rel=0.1)
    assert table.item() == pytest.approx(1.5, rel=0.2)


def test_the_vectors_are_float32_under_autocast() -> None:
    daft, features, tabular = daft_and_inputs()
    _, exact, _ = daft(features.bfloat16(), tabular)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        after, scale, shift = daft(features.bfloat16(), tabular)
    assert (after.dtype, scale.dtype, shift.dtype) == (torch.bfloat16, torch.float32, torch.float32)
    assert torch.equal(scale, exact)


@pytest.mark.parametrize("shape", [(2, 4), (1, 3), (3,)])
def test_a_table_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    daft, features, _ = daft_and_inputs()
    with pytest.raises(ModelError, match=r"tabular should be \[2, 3\], got \["):
        daft(features, torch.zeros(shape))
