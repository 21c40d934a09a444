"""The random part of augmentation: what is done to each case, before any voxel is touched."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from fpe_core.config.pretraining import AugmentationPlan

FREE_KNOTS = 3
"""Control points per axis that an elastic deformation moves; two more at each end of an axis stay where they are, so
that the rim of the field is still."""


@dataclass(frozen=True, eq=False)
class AugmentationDraws:
    """What one view of each of B cases gets, on the CPU. Beside the images this is all that decides the views.

    A case that an augmentation leaves alone has that augmentation's neutral values.

    Attributes:
        elastic_mm: `(B, 3, 3, 3, 3)` float32, displacement (z, h, w) in mm of the free control points; neutral 0.
        anisotropy_factor: `(B,)` float32, voxels of a thick slice; neutral 1.
        anisotropy_axis: `(B,)` int64, axis across the thick slices: 0 is z, 1 is h, 2 is w.
        flip: `(B,)` bool, left and right exchanged.
        scale: `(B, 3)` float32, magnification along z, h, w; neutral 1.
        rotation_deg: `(B, 3)` float32, degrees about z, h, w; neutral 0.
        offset: `(B, C)` float32, added to each channel.
    """

    elastic_mm: Tensor
    anisotropy_factor: Tensor
    anisotropy_axis: Tensor
    flip: Tensor
    scale: Tensor
    rotation_deg: Tensor
    offset: Tensor

    def __len__(self) -> int:
        return len(self.flip)

    def cases(self, start: int, stop: int) -> "AugmentationDraws":
        """The draws of cases start to stop - 1, for a part of the batch."""
        return AugmentationDraws(*(getattr(self, field.name)[start:stop] for field in fields(self)))

    @property
    def moves_voxels(self) -> bool:
        """Whether any case is deformed, flipped, scaled or turned."""
        still = (self.elastic_mm == 0).all() and (self.scale == 1).all() and (self.rotation_deg == 0).all()
        return bool(self.flip.any()) or not bool(still)


def draw_augmentation(
    plan: AugmentationPlan, num_cases: int, generator: torch.Generator, *, num_channels: int
) -> AugmentationDraws:
    """One view of each case. Calling it again with the same generator gives the other view.

    Every value is uniform between the plan's limits, and independent of every other: axes, control points, channels.

    Args:
        generator: on the CPU, so that the draws are the same for every device.
    """

    def uniform(least: float, most: float, *shape: int) -> Tensor:
        return least + (most - least) * torch.rand(num_cases, *shape, generator=generator)

    def chosen(probability: float) -> Tensor:
        return torch.rand(num_cases, generator=generator) < probability

    def where_chosen(probability: float, drawn: Tensor, neutral: float) -> Tensor:
        return torch.where(chosen(probability).view(-1, *[1] * (drawn.ndim - 1)), drawn, neutral)

    knots = uniform(-plan.elastic_max_mm, plan.elastic_max_mm, 3, FREE_KNOTS, FREE_KNOTS, FREE_KNOTS)
    is_affine = chosen(plan.affine_probability).view(-1, 1)
    return AugmentationDraws(
        elastic_mm=where_chosen(plan.elastic_probability, knots, 0.0),
        anisotropy_factor=where_chosen(plan.anisotropy_probability, uniform(*plan.anisotropy_factor), 1.0),
        anisotropy_axis=torch.randint(3, (num_cases,), generator=generator),
        flip=chosen(plan.flip_probability),
        scale=torch.where(is_affine, uniform(*plan.scale, 3), 1.0),
        rotation_deg=torch.where(is_affine, uniform(-plan.rotation_deg, plan.rotation_deg, 3), 0.0),
        offset=uniform(-plan.offset, plan.offset, num_channels),
    )
