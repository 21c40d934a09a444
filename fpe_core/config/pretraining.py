"""The plan of self-supervised pre-training."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fpe_core.config.base import FrozenModel

Probability = Annotated[float, Field(ge=0, le=1)]


class AugmentationPlan(FrozenModel):
    """How a view of a case differs from the case; every view is also rescaled to 0-1.

    The defaults are those of the released MNT-DL, which does not say how far its elastic deformation goes.
    """

    elastic_probability: Probability = 0.7
    """Share of views that are deformed elastically."""
    elastic_max_mm: Annotated[float, Field(ge=0, le=15)] = 7.5
    """Most that the deformation moves a point along each axis, mm; up to 15 it cannot fold on a recipe's grid."""
    anisotropy_probability: Probability = 0.5
    """Share of views that are seen in thicker slices along one axis."""
    anisotropy_factor: tuple[Annotated[float, Field(ge=1)], Annotated[float, Field(ge=1)]] = (1.5, 5.0)
    """Least and most voxels of a thick slice."""
    flip_probability: Probability = 0.5
    """Share of views with the patient's left and right exchanged."""
    affine_probability: Probability = 0.5
    """Share of views that are scaled and turned."""
    scale: tuple[Annotated[float, Field(ge=0.5)], Annotated[float, Field(le=2)]] = (0.9, 1.2)
    """Least and most magnification along each axis; above 1 the head is larger."""
    rotation_deg: Annotated[float, Field(ge=0, le=45)] = 20.0
    """Most rotation about each axis, either way, in degrees."""
    offset: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Most that is added to all voxels of a channel, either way, after rescaling to 0-1."""

    @model_validator(mode="after")
    def _ranges_are_ordered(self) -> "AugmentationPlan":
        for name in ("anisotropy_factor", "scale"):
            least, most = getattr(self, name)
            if least > most:
                raise ValueError(f"{name} should go from the least to the most, got {least} to {most}")
        return self


class PretrainingPlan(FrozenModel):
    """One local round of SimSiam (Chen and He, CVPR 2021) on scans without labels."""

    local_epochs: Annotated[int, Field(ge=1)] = 1
    """Passes over the site's unlabelled scans in each round."""
    batch_size: Annotated[int, Field(ge=2)] = 12
    """Scans per optimiser step; at least two, because the projector normalises over the batch."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    """AdamW step size."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    """AdamW decoupled weight decay."""
    projector_width: Annotated[int, Field(ge=8)] = 512
    """Hidden width of the projector. The reference's equals the encoder's embedding, 12800 for MNT-DL as released."""
    projection_size: Annotated[int, Field(ge=8)] = 512
    """Length d of a projection (reference: 2048)."""
    predictor_width: Annotated[int, Field(ge=4)] = 128
    """Bottleneck of the predictor, a quarter of a projection (reference: 512)."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """As in a study's training section."""
    deterministic: bool = True
    """Deterministic kernels: the same plan and scans give the same model on the same kind of machine."""
    augmentation: AugmentationPlan = AugmentationPlan()
