"""From a CT's brain mask out to the inner table of the skull.

Of a voxel that holds bone and brain, the threshold of 100 HU gives all to the bone, so that a mask made by it ends 1 to
2 mm too early and loses the CSF over the convexity. Here the border lies where the density is halfway between brain and
cortical bone, which is where the inner table is whatever the blur of the scan.
"""

import numpy as np
from scipy import ndimage

from fpe_core.imaging.volume import Array, Mask, Matrix, Volume
from fpe_core.preprocessing.background import constant_background
from fpe_core.preprocessing.morphology import filled

_INSIDE_SKULL_HU = (-30.0, 500.0)
"""Above the noise of CSF; up to halfway between brain, near 35 HU, and cortical bone, near 1000 HU."""
_REACH_MM = 2.0
"""How far the inner table is looked for beyond the mask."""
_BACKGROUND_SHARE = 0.15


def cranial_cavity(volume: Volume, beyond_mm: Array) -> Mask:
    """`(X, Y, Z)` bool: brain, ventricles and CSF inside the skull.

    Args:
        volume: CT in HU.
        beyond_mm: `(X, Y, Z)` float32, distance in mm to the surface of the brain mask, negative inside.
    """
    low, high = _INSIDE_SKULL_HU
    near = (beyond_mm <= _REACH_MM) & (volume.data_xyz > low) & (volume.data_xyz < high)
    background = constant_background(volume, _BACKGROUND_SHARE)
    if background is not None:
        near &= ~background
    return filled(near | (beyond_mm <= 0))


def beyond_surface_mm(mask_xyz: Mask, spacing_mm: Matrix) -> Array:
    """`(X, Y, Z)` float32, signed distance of each voxel's centre to the surface of a mask, negative inside."""
    signed = ndimage.distance_transform_edt(~mask_xyz, sampling=spacing_mm)
    signed -= ndimage.distance_transform_edt(mask_xyz, sampling=spacing_mm)
    # From voxel centres on either side to the surface between them.
    surface: Array = (signed - np.sign(signed) * spacing_mm.min() / 2).astype(np.float32)
    return surface
