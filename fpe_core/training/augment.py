"""Augmentation of a batch on its device, for self-supervision: two views of each case."""

import torch
from torch import Tensor

from fpe_core.errors import DataError
from fpe_core.training.augment_draws import AugmentationDraws, draw_augmentation
from fpe_core.training.augment_spatial import GRID_EXTENT_MM, Extent, resampled

__all__ = ["AugmentationDraws", "augment", "draw_augmentation"]

_ALONG_AXIS = ("bij,bcjhw->bcihw", "bij,bczjw->bcziw", "bij,bczhj->bczhi")


@torch.no_grad()
def augment(images: Tensor, draws: AugmentationDraws, *, extent_mm: Extent = GRID_EXTENT_MM) -> Tensor:
    """One view of each case: flipped, scaled and turned, deformed, seen in thick slices, rescaled to 0-1, offset.

    These are the augmentations of the released MNT-DL. The heads move before they are seen in thick slices, as they do
    in a scanner. Computes in float32 whatever the precision of training, and leaves `images` as they are.

    Args:
        images: `(B, C, Z, H, W)`, any floating dtype and device; 0 is background; axes as in `ProcessedCase`.
        draws: of these B cases and C channels.
        extent_mm: size of the field of view along z, h, w. Slices are thicker than pixels are wide: a rotation that
            did not know would shear the head.

    Returns:
        `(B, C, Z, H, W)` float32 on the images' device, each channel in [offset, 1 + offset]; a channel that is the
        same everywhere becomes its offset.

    Raises:
        DataError: the images' cases or channels are not those that were drawn for.
    """
    _check(images, draws)
    with torch.autocast(images.device.type, enabled=False):
        views = images.float()
        if draws.moves_voxels:
            views = resampled(views, draws, extent_mm=extent_mm)
        for axis in range(3):
            views = _in_thick_slices(views, draws, axis)
        return _rescaled(views, draws.offset.to(views.device))


def _check(images: Tensor, draws: AugmentationDraws) -> None:
    if images.ndim != 5 or images.shape[:2] != draws.offset.shape:
        num_cases, num_channels = draws.offset.shape
        raise DataError(f"images should be [{num_cases}, {num_channels}, Z, H, W], got {list(images.shape)}")


def _in_thick_slices(images: Tensor, draws: AugmentationDraws, axis: int) -> Tensor:
    """The cases whose thick slices follow each other along `axis`; the others as they are."""
    chosen = ((draws.anisotropy_axis == axis) & (draws.anisotropy_factor > 1)).nonzero().flatten()
    if not len(chosen):
        return images
    matrices = thick_slice_matrices(draws.anisotropy_factor[chosen], images.shape[2 + axis]).to(images.device)
    chosen = chosen.to(images.device)
    return images.index_copy(0, chosen, torch.einsum(_ALONG_AXIS[axis], matrices, images[chosen]))


def thick_slice_matrices(factor: Tensor, num_voxels: int) -> Tensor:
    """What thick slices do to a row of voxels: each slice is the mean of what it covers (partial volume), and the
    voxels are interpolated linearly between the slices' middles. The slices are centred on the row.

    Args:
        factor: `(B,)` float32, at least 1, voxels that a thick slice covers.

    Returns:
        `(B, num_voxels, num_voxels)` float32; rows sum to 1; the identity for a factor of 1.
    """
    width = factor.view(-1, 1, 1)
    num_slices = torch.ceil(num_voxels / width)
    start = (num_voxels - num_slices * width) / 2
    voxel = torch.arange(num_voxels, dtype=torch.float32)
    lower = start + voxel.view(-1, 1) * width
    covered = (torch.minimum(lower + width, voxel + 1) - torch.maximum(lower, voxel)).clamp(min=0)
    averaging = covered / covered.sum(2, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    position = ((voxel.view(-1, 1) + 0.5 - start) / width - 0.5).clamp(min=0).minimum(num_slices - 1)
    return (1 - (position - voxel).abs()).clamp(min=0) @ averaging


def _rescaled(images: Tensor, offset: Tensor) -> Tensor:
    least, most = images.amin((2, 3, 4), keepdim=True), images.amax((2, 3, 4), keepdim=True)
    span = most - least
    factor = torch.where(span > 0, 1 / span, 0.0)
    return (images - least).mul_(factor).add_(offset.view(*offset.shape, 1, 1, 1))
