"""Noise of a scan as acquired."""

import numpy as np

from fpe_core.preprocessing.probe import Landing, brain_probe, voxels_of

_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
_KERNEL_NORM = 6.0
_MAD_TO_SD = 1.4826
_THICK_MM = 5.0
"""Thin slices are averaged to this thickness first: the network sees slices of 6 mm."""


def noise_sd(scan: Landing) -> float:
    """Standard deviation of the noise in white matter, per in-plane voxel of slices of about 5 mm, in the scan's unit.

    The difference of two Laplacians (Immerkær, CVIU 1996) blanks out everything that varies linearly; its median
    absolute deviation is not moved by the few points at edges. 0 where no white matter lies inside the scan.
    """
    probe = brain_probe()
    near, inside = voxels_of(probe.points_mm[probe.white], scan.raw, scan.mni_from_native)
    num_slices = max(1, round(_THICK_MM / float(scan.raw.spacing_mm[2])))
    size = np.array(scan.raw.data_xyz.shape)
    room = inside & (near[:, :2] > 0).all(axis=1) & (near[:, :2] < size[:2] - 1).all(axis=1)
    x, y, z = near[room & (near[:, 2] + num_slices <= size[2])].T
    if not x.size:
        return 0.0
    response = np.zeros(x.size, dtype=np.float64)
    for (i, j), weight in np.ndenumerate(_KERNEL):
        for k in range(num_slices):
            response += weight * scan.raw.data_xyz[x + i - 1, y + j - 1, z + k]
    spread = np.median(np.abs(response - np.median(response))) / num_slices
    return float(_MAD_TO_SD * spread / _KERNEL_NORM)
