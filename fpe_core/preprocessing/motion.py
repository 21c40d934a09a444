"""Traces that a moving patient leaves in the slices of a scan."""

import numpy as np
from scipy import ndimage

from fpe_core.imaging.volume import Array, Matrix
from fpe_core.preprocessing.probe import Indices, Landing, brain_probe, voxels_of

_LEAST_POINTS = 40
_LEAST_SLICES = 6
_HEAD_SHARE = 0.3
_CLIP_PERCENTILES = (2, 98)


def interleave(scan: Landing) -> float:
    """Mean correlation of slices two apart minus that of neighbours.

    Below 0 in a still head. When the patient moved between the odd and the even slices of an interleaved acquisition,
    slices of one half resemble each other more than their neighbours. 0 where there are too few slices.
    """
    slices = _brain_slices(scan)
    if len(slices) < _LEAST_SLICES:
        return 0.0
    return float(_correlations(slices, 2).mean() - _correlations(slices, 1).mean())


def slice_break(scan: Landing) -> float:
    """Largest drop of the correlation of two neighbouring slices below the median of the pairs around them.

    A head that moved once during the scan leaves one step. 0 where there are too few slices.
    """
    slices = _brain_slices(scan)
    if len(slices) < _LEAST_SLICES:
        return 0.0
    neighbours = _correlations(slices, 1)
    return float((ndimage.median_filter(neighbours, size=5, mode="nearest") - neighbours).max())


def slice_jump(scan: Landing) -> float:
    """90th percentile of how far a slice's white matter lies from the mean of its two neighbours, as a share.

    Signal lost by motion during the diffusion weighting, or by spin history, makes single slices dark.
    """
    probe = brain_probe()
    near, inside = voxels_of(probe.points_mm[probe.white], scan.glance.average, scan.mni_from_native)
    x, y, z = near[inside].T
    values = scan.glance.average.data_xyz[x, y, z]
    levels = np.array([np.median(values[z == k]) for k in np.unique(z) if (z == k).sum() >= _LEAST_POINTS])
    if len(levels) < _LEAST_SLICES or not np.median(levels) > 0:
        return 0.0
    jumps = np.abs(levels[1:-1] - (levels[:-2] + levels[2:]) / 2) / np.median(levels)
    return float(np.percentile(jumps, 90))


def ghost_ratio(scan: Landing) -> float:
    """Signal of an N/2 ghost in air over that of the head: (ghost − other air) / head (Giannelli et al., JACMP 2010).

    The ghost is looked for half a field of view away from the head along both in-plane axes, as the direction of phase
    encoding is not in a NIfTI file; the larger one counts. 0 where the head fills the image or air was set to 0.
    """
    slices = _head_slices(scan)
    head = slices > _HEAD_SHARE * np.percentile(slices, 98)
    head = ndimage.binary_closing(head, np.ones((1, 3, 3)), iterations=2)
    near_head = ndimage.binary_dilation(head, np.ones((1, 3, 3)), iterations=2)
    found = 0.0
    for axis in (1, 2):
        ghost = np.roll(head, head.shape[axis] // 2, axis) & ~near_head
        air = ~near_head & ~np.roll(near_head, head.shape[axis] // 2, axis)
        if ghost.sum() >= _LEAST_POINTS and air.sum() >= _LEAST_POINTS:
            found = max(found, float(slices[ghost].mean() - slices[air].mean()) / float(slices[head].mean()))
    return found


def _slice_numbers(scan: Landing) -> Indices:
    """Slices of the averaged scan that cut a good part of the brain."""
    near, inside = voxels_of(brain_probe().points_mm, scan.glance.average, scan.mni_from_native)
    counts = np.bincount(near[inside, 2], minlength=scan.glance.average.data_xyz.shape[2])
    return np.flatnonzero((counts > 0.3 * counts.max()) & (counts > 0))


def _head_slices(scan: Landing) -> Array:
    slices: Array = scan.glance.average.data_xyz[:, :, _slice_numbers(scan)].transpose(2, 0, 1)
    return slices


def _brain_slices(scan: Landing) -> Array:
    """`(K, X, Y)` float32, clipped so that neither bone nor a bright lesion decides."""
    slices = _head_slices(scan)
    return np.clip(slices, *np.percentile(slices, _CLIP_PERCENTILES)) if slices.size else slices


def _correlations(slices: Array, apart: int) -> Matrix:
    flat = slices.reshape(len(slices), -1).astype(np.float64)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    found: Matrix = (flat[:-apart] * flat[apart:]).sum(axis=1)
    return found
