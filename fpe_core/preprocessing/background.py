"""Background that was set to one value, by a scanner, a defacing tool or an earlier brain extraction."""

import numpy as np

from fpe_core.imaging.volume import Mask, Volume


def constant_background(volume: Volume, least_share: float) -> Mask | None:
    """`(X, Y, Z)` bool, the voxels that equal the image's most common border value.

    None when they are less than `least_share` of the image, or the value occurs by chance as in noisy air.
    """
    data = volume.data_xyz
    border = np.concatenate([face.ravel() for axis in range(3) for face in (data.take(0, axis), data.take(-1, axis))])
    values, counts = np.unique(border, return_counts=True)
    background: Mask = data == values[int(counts.argmax())]
    return background if float(background.mean()) >= least_share else None
