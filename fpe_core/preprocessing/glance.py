"""The little of a scan that the quality numbers need, taken before a pipeline works on it and lets it go.

A thin CTA has hundreds of MiB; a glance at it has two or three. All parts keep the scan's own axes, slices last.
"""

from dataclasses import dataclass

import numpy as np

from fpe_core.imaging.geometry import block_mean
from fpe_core.imaging.volume import Array, Matrix, Volume
from fpe_core.preprocessing.check import MAX_SPACING_MM, MIN_SPACING_MM

_SPACING_MM = 3.0
_THIN_FROM = 4
_NOISE_SLICE_MM = 5.0
_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
KERNEL_NORM = 6.0
"""Root of the sum of the squared weights of the noise kernel."""


@dataclass(frozen=True, eq=False)
class Glance:
    """Small images of one scan, each of about 3 mm, axes as acquired with the slices last; affines may be sheared.

    Attributes:
        average: means of blocks of voxels.
        sparse: single voxels as acquired.
        response: of single places to a kernel that blanks out what varies linearly (Immerkær, CVIU 1996), in slices
            averaged to about 5 mm.
        largest: the scan's largest value.
        num_slices: of the scan.
        thickness_mm: distance of its slices.
    """

    average: Volume
    sparse: Volume
    response: Volume
    largest: float
    num_slices: int
    thickness_mm: float


def glance(raw: Volume) -> Glance | None:
    """Glance at a scan as read. None for one whose geometry no pipeline takes."""
    spacing = raw.spacing_mm
    if not np.isfinite(spacing).all() or spacing.min() < MIN_SPACING_MM or spacing.max() > MAX_SPACING_MM:
        return None
    scan = _slices_last(raw)
    spacing = scan.spacing_mm
    factors = np.maximum(1, np.round(_SPACING_MM / spacing)).astype(int)
    thick = max(1, round(_NOISE_SLICE_MM / float(spacing[2])))
    if (np.array(scan.data_xyz.shape) < np.maximum(factors, (3, 3, thick))).any():
        return None
    with np.errstate(all="ignore"):  # a scan with NaN or infinity is refused by its pipeline
        return Glance(
            average=_average(scan, factors),
            sparse=_strided(scan, factors // 2, factors),
            response=_response(scan, factors, thick),
            largest=float(scan.data_xyz.max()),
            num_slices=scan.data_xyz.shape[2],
            thickness_mm=float(spacing[2]),
        )


def _slices_last(volume: Volume) -> Volume:
    """A view whose last axis is the coarsest."""
    spacing = volume.spacing_mm
    slices = int(np.flatnonzero(spacing > spacing.max() - 0.01)[-1])
    order = [axis for axis in range(3) if axis != slices] + [slices]
    return Volume(volume.data_xyz.transpose(order), volume.affine_ras[:, [*order, 3]])


def _average(scan: Volume, factors: Matrix) -> Volume:
    """Block means; of blocks four or more voxels wide every other voxel will do."""
    step = np.where(factors >= _THIN_FROM, 2, 1)
    blocks = factors // step
    return block_mean(_strided(scan, np.zeros(3, int), step), (int(blocks[0]), int(blocks[1]), int(blocks[2])))


def _strided(scan: Volume, start: Matrix, step: Matrix) -> Volume:
    """Every `step`-th voxel from `start` on, at its place."""
    moved = np.diag([*step.astype(float), 1.0])
    moved[:3, 3] = start
    box = tuple(slice(int(a), None, int(b)) for a, b in zip(start, step, strict=True))
    return Volume(np.array(scan.data_xyz[box]), scan.affine_ras @ moved)


def _response(scan: Volume, factors: Matrix, thick: int) -> Volume:
    """See `Glance.response`; centres lie `factors` apart, the first at (1, 1, 0)."""
    data = scan.data_xyz
    last = np.array(data.shape) - (1, 1, thick - 1)
    total = np.zeros(0, np.float32)
    for (i, j), weight in np.ndenumerate(_KERNEL):
        for k in range(thick):
            part = data[
                i : last[0] + i - 1 : factors[0], j : last[1] + j - 1 : factors[1], k : last[2] + k : factors[2]
            ]
            total = total + part * weight if total.size else part * weight
    moved = np.diag([*factors.astype(float), 1.0])
    moved[:3, 3] = (1, 1, (thick - 1) / 2)
    found: Array = (total / np.float32(thick)).astype(np.float32)
    return Volume(found, scan.affine_ras @ moved)
