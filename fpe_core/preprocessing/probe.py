"""Points of the template's brain at which a scan is looked up, wherever it landed and whatever its grid."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fpe_core.imaging.geometry import inverted
from fpe_core.imaging.template import load_template
from fpe_core.imaging.volume import Array, Mask, Matrix, Volume
from fpe_core.preprocessing.glance import Glance

PROBE_SPACING_MM = 4
_DEEP_MM = 12.0
_WHITE_T1, _CSF_T1 = 0.78, 0.42

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Probe:
    """A lattice of points in the template's brain, 4 mm apart.

    Attributes:
        points_mm: `(N, 3)` float64, MNI RAS+ mm.
        t1: `(N,)` float32, the template there, 0-1.
        deep: `(N,)` bool, at least 12 mm inside the brain's surface: no skull there even when a scan is a bit off.
        white: `(N,)` bool, white matter 4 mm away from anything else.
        brain_xyz: `(X, Y, Z)` bool, the lattice's box; the points are those where it is True, in the same order.
    """

    points_mm: Matrix
    t1: Array
    deep: Mask
    white: Mask
    brain_xyz: Mask

    def smoothed(self, values: Array, sigma_mm: float) -> Array:
        """`(N,)` float32: Gaussian mean of the points around each point."""
        box = np.zeros(self.brain_xyz.shape, dtype=np.float32)
        box[self.brain_xyz] = values
        sigma = sigma_mm / PROBE_SPACING_MM
        weight = ndimage.gaussian_filter(self.brain_xyz.astype(np.float32), sigma)
        mean: Array = (ndimage.gaussian_filter(box, sigma) / np.maximum(weight, 1e-3))[self.brain_xyz]
        return mean


@lru_cache(maxsize=1)
def brain_probe() -> Probe:
    """The probe of the MNI152 template; made once per process."""
    template = load_template(PROBE_SPACING_MM)
    brain, t1 = template.brain_xyz, template.t1.data_xyz
    deep = ndimage.distance_transform_edt(brain, sampling=PROBE_SPACING_MM) > _DEEP_MM
    white = ndimage.binary_erosion(t1 > _WHITE_T1)
    affine = template.t1.affine_ras
    points = np.argwhere(brain) @ affine[:3, :3].T + affine[:3, 3]
    return Probe(points, t1[brain], deep[brain], white[brain], brain)


@dataclass(frozen=True, eq=False)
class Landing:
    """What is kept of one scan for measuring, and where it landed."""

    glance: Glance
    mni_from_native: Matrix

    def average_at(self, points_mm: Matrix) -> tuple[Array, Mask]:
        """`values_at` the points in the averaged scan."""
        return values_at(points_mm, self.glance.average, self.mni_from_native)

    def voxels_at(self, points_mm: Matrix) -> tuple[Array, Mask]:
        """`values_at` the points among the voxels as acquired."""
        return values_at(points_mm, self.glance.sparse, self.mni_from_native)


def voxels_of(points_mm: Matrix, volume: Volume, mni_from_native: Matrix) -> tuple[Indices, Mask]:
    """`(N, 3)` nearest voxel of each MNI point, and `(N,)` bool whether the volume has that voxel.

    Voxels outside are moved to the nearest that is there.
    """
    index_from_mni = inverted(mni_from_native @ volume.affine_ras)
    near = np.rint(points_mm @ index_from_mni[:3, :3].T + index_from_mni[:3, 3]).astype(np.int64)
    last = np.array(volume.data_xyz.shape) - 1
    inside: Mask = np.all((near >= 0) & (near <= last), axis=1)
    return np.clip(near, 0, last), inside


def values_at(points_mm: Matrix, volume: Volume, mni_from_native: Matrix) -> tuple[Array, Mask]:
    """`(N,)` float32 values of the nearest voxels, and `(N,)` bool whether the volume reaches there."""
    near, inside = voxels_of(points_mm, volume, mni_from_native)
    return volume.data_xyz[near[:, 0], near[:, 1], near[:, 2]], inside
