"""Noise of a scan as acquired."""

import numpy as np

from fpe_core.preprocessing.glance import KERNEL_NORM
from fpe_core.preprocessing.probe import Landing, brain_probe, values_at

_MAD_TO_SD = 1.4826


def noise_sd(scan: Landing) -> float:
    """Standard deviation of the noise in white matter, per in-plane voxel of slices of about 5 mm, in the scan's unit.

    The difference of two Laplacians (Immerkær, CVIU 1996) blanks out everything that varies linearly; its median
    absolute deviation is not moved by the few points at edges. 0 where no white matter lies inside the scan.
    """
    probe = brain_probe()
    response, seen = values_at(probe.points_mm[probe.white], scan.glance.response, scan.mni_from_native)
    if not seen.any():
        return 0.0
    spread = np.median(np.abs(response[seen] - np.median(response[seen])))
    return float(_MAD_TO_SD * spread / KERNEL_NORM)
