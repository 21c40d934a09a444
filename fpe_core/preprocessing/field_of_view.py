"""Removes what is not head: neck below, table and head holder around."""

import numpy as np

from fpe_core.errors import CaseEmpty
from fpe_core.imaging.geometry import block_factors, block_mean, crop
from fpe_core.imaging.volume import Mask, Volume
from fpe_core.preprocessing.background import constant_background
from fpe_core.preprocessing.morphology import filled, grown, largest, shrunk

AIR_HU = -1000.0
_SKIN_HU = -300.0
_HOLDER_GAP_MM = 5.0
_SEARCH_SPACING_MM = 4.0
_BACKGROUND_SHARE = 0.15
_TOP_AREA_SHARE = 0.05


def crop_to_head(volume: Volume, head_xyz: Mask, field_of_view_mm: float) -> tuple[Volume, Mask]:
    """Keep `field_of_view_mm` below the top of the head, and in the other axes the head's own box.

    Args:
        volume: any image in RAS+ axis order.
        head_xyz: `(x, y, z)` bool on `block_mean`'s coarse grid of the same volume, see `head_mask`.
        field_of_view_mm: height that is kept, in mm.

    Returns:
        The box as a copy, and `head_xyz` on the box's own coarse grid.
    """
    factors = block_factors(volume, _SEARCH_SPACING_MM)
    sizes = volume.data_xyz.shape
    blocks = [_used(head_xyz, axis) for axis in (0, 1)]
    area = head_xyz.sum(axis=(0, 1))
    above = int(np.flatnonzero(area > _TOP_AREA_SHARE * area.max())[-1]) + 2
    tall = int(np.ceil(field_of_view_mm / volume.spacing_mm[2] / factors[2]))
    blocks.append((max(0, above - tall), above))
    start = [first * factor for (first, _), factor in zip(blocks, factors, strict=True)]
    stop = [min(size, last * factor) for (_, last), factor, size in zip(blocks, factors, sizes, strict=True)]
    head = head_xyz[tuple(slice(first, last) for first, last in blocks)]
    return crop(volume, (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])), head


def _used(mask: Mask, axis: int) -> tuple[int, int]:
    """Where the mask begins and ends along an axis, and one more on either side."""
    used = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
    return max(0, int(used[0]) - 1), int(used[-1]) + 2


def head_mask(volume: Volume, threshold: float) -> Mask:
    """`(x, y, z)` bool on a grid of about 4 mm: the largest body above `threshold`, thin bridges cut, holes filled.

    Raises:
        CaseEmpty: nothing lies above the threshold.
    """
    coarse = block_mean(volume, block_factors(volume, _SEARCH_SPACING_MM))
    body = coarse.data_xyz > threshold
    background = constant_background(coarse, _BACKGROUND_SHARE)
    if background is not None:
        body &= ~background
    core = largest(shrunk(body, _HOLDER_GAP_MM, coarse.spacing_mm))
    if not core.any():
        raise CaseEmpty("no head was found in the image")
    return filled(grown(core, _HOLDER_GAP_MM, coarse.spacing_mm) & body)


def ct_head_mask(volume: Volume) -> Mask:
    """`head_mask` of a CT: skin and everything inside it, without table and head holder."""
    return head_mask(volume, _SKIN_HU)


def mr_head_mask(volume: Volume) -> Mask:
    """`head_mask` of an MR: above a tenth of the bright tissue, far above the noise of air."""
    bright = float(np.percentile(volume.data_xyz[::2, ::2, ::2], 98))
    return head_mask(volume, 0.1 * bright)


def outside_to_air(volume: Volume, head_xyz: Mask) -> Volume:
    """Set everything outside the head to −1000 HU.

    Args:
        volume: CT in HU.
        head_xyz: from `ct_head_mask` of the same volume.
    """
    factors = block_factors(volume, _SEARCH_SPACING_MM)
    keep = grown(head_xyz, _SEARCH_SPACING_MM, volume.spacing_mm * np.array(factors))
    # An incomplete block at the far end has no voxel in the coarse mask; it goes with its neighbour.
    nearest = [
        np.minimum(np.arange(size) // factor, kept - 1)
        for size, factor, kept in zip(volume.data_xyz.shape, factors, keep.shape, strict=True)
    ]
    return volume.with_data(np.where(keep[np.ix_(*nearest)], volume.data_xyz, np.float32(AIR_HU)))
