"""Brain extraction from MR: a first mask from the image alone, then a tighter one with the registered template."""

import numpy as np

from fpe_core.imaging.volume import Mask, Volume
from fpe_core.preprocessing.background import constant_background
from fpe_core.preprocessing.morphology import closed, filled, grown, largest, shrunk

_BRAIN_ML = (600.0, 2400.0)
_STRIPPED_BACKGROUND_SHARE = 0.4
_CUT_MM = 6.0
_CLOSING_MM = 8.0
_HISTOGRAM_BINS = 128


def mr_brain(working: Volume) -> Mask:
    """`(X, Y, Z)` bool: the largest bright body, once scalp, eyes and neck are cut off where thinner than 12 mm.

    Args:
        working: any MR contrast with dark air, RAS+ axis order.

    An image whose skull is already gone is recognised by its constant background, and all that is left is brain.
    """
    stripped = _already_stripped(working)
    if stripped is not None:
        return stripped
    bright = working.data_xyz > otsu_threshold(working)
    core = largest(shrunk(bright, _CUT_MM, working.spacing_mm))
    return closed(grown(core, _CUT_MM, working.spacing_mm) & bright, _CLOSING_MM, working.spacing_mm)


def _already_stripped(working: Volume) -> Mask | None:
    background = constant_background(working, _STRIPPED_BACKGROUND_SHARE)
    if background is None:
        return None
    brain = filled(largest(~background))
    volume_ml = float(brain.sum()) * working.voxel_ml
    return brain if _BRAIN_ML[0] < volume_ml < _BRAIN_ML[1] else None


def otsu_threshold(working: Volume) -> float:
    """Otsu's threshold between air and tissue, on values clipped at the 99th percentile (IEEE Trans. SMC 1979)."""
    top = float(np.percentile(working.data_xyz, 99))
    counts, edges = np.histogram(np.clip(working.data_xyz, 0, top), bins=_HISTOGRAM_BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sum_below = np.cumsum(counts * centres)
    mean_below = sum_below / np.maximum(below, 1)
    mean_above = (sum_below[-1] - sum_below) / np.maximum(above, 1)
    between = below * above * (mean_below - mean_above) ** 2
    return float(edges[int(between.argmax()) + 1])
