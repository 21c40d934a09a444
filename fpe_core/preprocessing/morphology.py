"""Mask operations in millimetres, so that thick slices and thin ones are treated alike."""

import numpy as np
from scipy import ndimage

from fpe_core.imaging.volume import Mask, Matrix


def shrunk(mask: Mask, radius_mm: float, spacing_mm: Matrix) -> Mask:
    """Voxels of `mask` `(X, Y, Z)` that lie further than `radius_mm` from everything outside it.

    The border of the image does not count as outside: a head cut off at the top keeps its top.
    """
    inside: Mask = ndimage.distance_transform_edt(mask, sampling=spacing_mm) > radius_mm
    return inside if not mask.all() else mask


def grown(mask: Mask, radius_mm: float, spacing_mm: Matrix) -> Mask:
    """Voxels within `radius_mm` of `mask`."""
    if not mask.any():
        return mask
    near: Mask = ndimage.distance_transform_edt(~mask, sampling=spacing_mm) <= radius_mm
    return near


def closed(mask: Mask, radius_mm: float, spacing_mm: Matrix) -> Mask:
    """`mask` grown and shrunk again, holes filled: gaps narrower than twice the radius are gone."""
    margin = int(np.ceil(radius_mm / spacing_mm.min())) + 1
    wide = np.pad(mask, margin)
    near = shrunk(grown(wide, radius_mm, spacing_mm), radius_mm, spacing_mm)
    inner = near[margin:-margin, margin:-margin, margin:-margin] | mask
    return filled(inner)


def filled(mask: Mask) -> Mask:
    """`mask` without enclosed holes, in three dimensions and then in each axial slice."""
    solid: Mask = ndimage.binary_fill_holes(mask)
    for z in range(solid.shape[2]):
        solid[:, :, z] = ndimage.binary_fill_holes(solid[:, :, z])
    return solid


def largest(mask: Mask) -> Mask:
    """The largest connected part of `mask` (faces touch); empty stays empty."""
    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    part: Mask = labels == int(sizes.argmax())
    return part
