"""The folded forward pass against a readable one that takes slice by slice, and what `mean of slices` promises."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fpe_core.errors import ModelError
from fpe_core.models.resnet34_slices import ResNet34Slices

Roughen = Callable[[nn.Module], nn.Module]
MakeImages = Callable[..., Tensor]


def small_model(num_slices: int = 7) -> ResNet34Slices:
    torch.manual_seed(7)
    return ResNet34Slices(in_channels=2, base_width=8, num_slices=num_slices).eval()


def test_the_prediction_is_a_linear_layer_on_the_mean_of_the_slices_vectors(
    roughened: Roughen, images: MakeImages
) -> None:
    model, x = roughened(small_model()), images(num_slices=9, side=48)
    logits = []
    for case in x:
        vectors = torch.cat([model.encoder.encode(case[:, z].unsqueeze(0)) for z in range(7)])
        logits.append(vectors.mean(dim=0) @ model.head.weight[0] + model.head.bias)
    torch.testing.assert_close(model(x).logits, torch.stack(logits), rtol=1e-4, atol=1e-5)
    assert model(x).subnets is None


def test_the_order_of_the_slices_does_not_matter(roughened: Roughen, images: MakeImages) -> None:
    """Which is what SCANet adds."""
    model, x = roughened(small_model()), images(num_slices=7)
    turned = model(x.flip(2)).logits
    torch.testing.assert_close(turned, model(x).logits)
    assert not torch.allclose(model(x * 2).logits, turned)


def test_it_has_the_published_stages(images: MakeImages) -> None:
    model = small_model()
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)]
    assert len(convolutions) + 1 == 34  # with the linear layer; shortcuts are not counted
    assert model.embed(images(3, num_slices=7)).shape == (3, model.embedding_size) == (3, 64)


def test_gradients_reach_every_parameter(roughened: Roughen, images: MakeImages) -> None:
    model = roughened(small_model())
    model(images(num_slices=7, side=64)).logits.square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-9] == []


@pytest.mark.parametrize("shape", [(2, 2, 6, 32, 32), (2, 3, 7, 32, 32), (2, 7, 32, 32)])
def test_a_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    for call in (small_model(), small_model().embed):
        with pytest.raises(ModelError, match=r"\[B, 2, Z >= 7, H, W\], got"):
            call(torch.zeros(shape))
