"""SimSiam against a plain rendition of its equations, and what of it can be trained and sent."""

from typing import Literal, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fpe_core.config.study import ModelName
from fpe_core.errors import ModelError
from fpe_core.models import build_model
from fpe_core.models.blocks import block_map
from fpe_core.models.simsiam import SimSiam, SimSiamOutput, simsiam_loss
from fpe_core.models.state import read_state, write_state


class Flat(nn.Module):
    """An encoder that a reader can follow: the voxels themselves, through one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding_size = 6
        self.blocks = {"layer.": "encoder"}
        self.layer = nn.Linear(8, 6)

    def embed(self, image: Tensor) -> Tensor:
        result: Tensor = self.layer(image.flatten(1))
        return result


def small(encoder: nn.Module | None = None) -> SimSiam:
    torch.manual_seed(3)
    return SimSiam(encoder or Flat(), projector_width=16, projection_size=12, predictor_width=8)


def views(seed: int = 0, shape: tuple[int, ...] = (5, 1, 2, 2, 2)) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)


def by_hand(p1: np.ndarray, z2: np.ndarray, p2: np.ndarray, z1: np.ndarray) -> float:  # type: ignore[type-arg]
    def distance(p: np.ndarray, z: np.ndarray) -> float:  # type: ignore[type-arg]
        p = p / np.linalg.norm(p, axis=1, keepdims=True)
        z = z / np.linalg.norm(z, axis=1, keepdims=True)
        return float(-(p * z).sum(axis=1).mean())

    return distance(p1, z2) / 2 + distance(p2, z1) / 2


def test_the_loss_is_that_of_the_paper() -> None:
    rng = np.random.default_rng(1)
    p1, p2, z1, z2 = (rng.normal(size=(4, 7)) for _ in range(4))
    output = SimSiamOutput(*(torch.tensor(a, dtype=torch.float32) for a in (p1, p2, z1, z2)))
    assert simsiam_loss(output).item() == pytest.approx(by_hand(p1, z2, p2, z1), abs=1e-6)


def test_the_loss_ends_where_prediction_and_projection_agree() -> None:
    same = torch.randn(4, 7, generator=torch.Generator().manual_seed(1))
    assert simsiam_loss(SimSiamOutput(same, same, 3 * same, 2 * same)).item() == pytest.approx(-1)
    assert simsiam_loss(SimSiamOutput(same, same, -same, -same)).item() == pytest.approx(1)


def test_exchanging_the_views_changes_nothing() -> None:
    model = small().eval()
    first, second = views()
    assert simsiam_loss(model(first, second)).item() == pytest.approx(simsiam_loss(model(second, first)).item())


def test_no_gradient_flows_through_the_projections_aimed_at() -> None:
    model = small()
    first, second = views()
    output = model(first, second)
    assert not output.first_projection.requires_grad
    assert not output.second_projection.requires_grad
    # One side of the loss alone: the second view is only aimed at, and must not feel it.
    second.requires_grad_()
    first.requires_grad_()
    output = model(first, second)
    one_side = torch.nn.functional.cosine_similarity(output.first_prediction, output.second_projection).mean()
    to_first, to_second = torch.autograd.grad(one_side, (first, second), allow_unused=True)
    assert to_first.abs().max() > 0
    assert to_second is None


def test_gradients_equal_those_with_the_projections_held_as_constants() -> None:
    model = small()
    first, second = views()
    simsiam_loss(model(first, second)).backward()
    got = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    with torch.no_grad():
        aimed_at = model.project(first), model.project(second)
    p1, p2 = model.predictor(model.project(first)), model.predictor(model.project(second))
    simsiam_loss(SimSiamOutput(p1, p2, *aimed_at)).backward()
    expected = [p.grad for p in model.parameters() if p.grad is not None]
    assert len(got) == len(list(model.parameters()))
    for mine, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_projector_and_predictor_have_the_paper_s_layers() -> None:
    model = small()
    kinds = [type(layer).__name__ for layer in model.projector]
    hidden = ["Linear", "BatchNorm1d", "ReLU"]
    assert kinds == [*hidden, *hidden, "Linear", "BatchNorm1d"]
    assert not model.projector[-1].affine
    assert [type(layer).__name__ for layer in model.predictor] == [*hidden, "Linear"]
    assert [tuple(m.weight.shape) for m in model.modules() if isinstance(m, nn.Linear)][1:] == [
        (16, 6),
        (16, 16),
        (12, 16),
        (8, 12),
        (12, 8),
    ]


def test_the_default_projector_is_a_third_of_the_encoder_at_most() -> None:
    with torch.device("meta"):
        model = SimSiam(build_model("mnt-dl-released", in_channels=3))
    size = {part: sum(p.numel() for p in getattr(model, part).parameters()) for part in ("encoder", "projector")}
    assert model.encoder.embedding_size == 12800
    assert size["projector"] == 12800 * 512 + 2 * 512 * 512 + 2 * 2 * 512
    assert size["projector"] < size["encoder"] / 3


@pytest.mark.parametrize("name", get_args(ModelName))
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_every_tensor_of_every_network_is_in_one_block_and_travels(name: str, norm: Literal["batch", "group"]) -> None:
    options = {"base_width": 8} if name in ("mnt-dl", "mnt-dl-released", "scanet", "resnet34") else {}
    encoder = build_model(name, in_channels=2, norm=norm, **options)
    model = small(encoder)
    blocks = block_map(model)
    assert {n for n, b in blocks.items() if b == "projector"} == {
        n for n in blocks if n.startswith(("projector.", "predictor."))
    }
    assert {n.removeprefix("encoder."): b for n, b in blocks.items() if n.startswith("encoder.")} == block_map(encoder)
    state = read_state(model)
    write_state(model, state)
    np.testing.assert_array_equal(read_state(model).values, state.values)


def test_an_encoder_without_an_embedding_is_refused() -> None:
    with pytest.raises(ModelError, match="embed and embedding_size, got Linear"):
        SimSiam(nn.Linear(2, 2))
