"""SimSiam: representations of scans without labels (Chen and He, Exploring Simple Siamese Representation, 2021)."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol, cast

import torch.nn.functional as F
from torch import Tensor, nn

from fpe_core.errors import ModelError
from fpe_core.models.blocks import Block


class Embedding(Protocol):
    """What self-supervision needs of a network; every network of the factory has it."""

    embedding_size: int
    blocks: Mapping[str, Block]

    def embed(self, image: Tensor) -> Tensor:
        """`[B, C, Z, H, W]` to `[B, embedding_size]`."""


class SimSiamOutput(NamedTuple):
    """Two views of B scans: p₁ and p₂ are trained towards z₂ and z₁, which do not move."""

    first_prediction: Tensor
    """`[B, d]`: p₁."""
    second_prediction: Tensor
    """`[B, d]`: p₂."""
    first_projection: Tensor
    """`[B, d]`: z₁, detached."""
    second_projection: Tensor
    """`[B, d]`: z₂, detached."""


class SimSiam(nn.Module):
    """A network's embedding, a projector of three layers and a predictor of two, between which a bottleneck lies.

    As in the paper (section 3 and its baseline settings): every hidden layer has batch normalisation and ReLU; the
    projector's last has batch normalisation without weights, the predictor's last is plain.

    The released network's projector is as wide as its embedding, 12800 → 12800 → 12800 → 2048: 354 million weights
    around an encoder of 21 million. With the default of 512 it has 7.1 million, so that pre-training does not cost more
    to send and to keep than training (docs/decisions/0008-projector-sized-for-federation.md).

    The batch normalisation of projector and predictor is what keeps representations apart: with group normalisation in
    its place they collapse in a few epochs, stop-gradient or not. An encoder may have either.

    Args:
        encoder: any network of the factory; its heads are neither used nor trained.
        projector_width: hidden width of the projector.
        projection_size: d.
        predictor_width: hidden width of the predictor, the bottleneck.

    Attributes:
        blocks: the encoder's own, and `projector` for projector and predictor.
    """

    def __init__(
        self, encoder: nn.Module, *, projector_width: int = 512, projection_size: int = 512, predictor_width: int = 128
    ) -> None:
        super().__init__()
        embedding = _checked(encoder)
        self.encoder = encoder
        self.projector = nn.Sequential(
            *_hidden(embedding.embedding_size, projector_width),
            *_hidden(projector_width, projector_width),
            nn.Linear(projector_width, projection_size, bias=False),
            nn.BatchNorm1d(projection_size, affine=False),
        )
        self.predictor = nn.Sequential(
            *_hidden(projection_size, predictor_width), nn.Linear(predictor_width, projection_size)
        )
        self.blocks: dict[str, Block] = {f"encoder.{start}": block for start, block in embedding.blocks.items()}
        self.blocks |= {"projector.": "projector", "predictor.": "projector"}

    def forward(self, first: Tensor, second: Tensor) -> SimSiamOutput:
        """Predictions and projections of two views, each `[B, C, Z, H, W]`; B ≥ 2 in training mode.

        The views pass the encoder one after the other, so that batch normalisation takes its statistics over one view
        of each scan, as in the paper.
        """
        z1, z2 = self.project(first), self.project(second)
        return SimSiamOutput(self.predictor(z1), self.predictor(z2), z1.detach(), z2.detach())

    def project(self, image: Tensor) -> Tensor:
        """`[B, C, Z, H, W]` to z, `[B, d]`."""
        projection: Tensor = self.projector(cast(Embedding, self.encoder).embed(image))
        return projection


def simsiam_loss(output: SimSiamOutput) -> Tensor:
    """L = D(p₁, z₂) / 2 + D(p₂, z₁) / 2 with D the negative cosine, mean over the batch (equations 1 to 4).

    Returns:
        Scalar float32 in [-1, 1].
    """
    first = F.cosine_similarity(output.first_prediction.float(), output.second_projection.float(), dim=1)
    second = F.cosine_similarity(output.second_prediction.float(), output.first_projection.float(), dim=1)
    return -(first.mean() + second.mean()) / 2


def _hidden(in_features: int, out_features: int) -> tuple[nn.Module, ...]:
    # The normalisation has a bias already.
    return nn.Linear(in_features, out_features, bias=False), nn.BatchNorm1d(out_features), nn.ReLU(inplace=True)


def _checked(encoder: nn.Module) -> Embedding:
    if not (hasattr(encoder, "embed") and hasattr(encoder, "embedding_size")):
        raise ModelError(
            f"self-supervision needs a network with embed and embedding_size, got {type(encoder).__name__}",
            hint="build it with fpe_core.models.build_model",
        )
    return cast(Embedding, encoder)
