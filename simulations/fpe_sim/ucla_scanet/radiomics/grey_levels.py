"""Grey levels for texture: a fixed width, since HU is a physical quantity."""

import numpy as np
from numpy.typing import NDArray

from fpe_core.imaging.volume import Mask

NUM_LEVELS = 32
"""Of the recipe's window: 3.1 HU each in NCCT (0-100 HU), 12.5 HU in CTA (0-400 HU)."""
OUTSIDE = -1
"""Level of a voxel outside the region."""

Levels = NDArray[np.int16]


def grey_levels(values: NDArray[np.float32]) -> Levels:
    """Level of each intensity: any shape, float32 in [0, 1], to int16 in [0, NUM_LEVELS)."""
    return np.clip(np.floor(values * NUM_LEVELS), 0, NUM_LEVELS - 1).astype(np.int16)


def region_levels(volume_zyx: NDArray[np.float32], region: Mask) -> Levels:
    """Levels of a region, cut to its bounding box, `OUTSIDE` elsewhere.

    Args:
        volume_zyx: `(Z, H, W)` float32 in [0, 1].
        region: `(Z, H, W)` bool with a voxel at least.
    """
    box = tuple(
        slice(int(places.min()), int(places.max()) + 1) for places in (np.unique(axis) for axis in np.nonzero(region))
    )
    return np.where(region[box], grey_levels(volume_zyx[box]), OUTSIDE).astype(np.int16)
