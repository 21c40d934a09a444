"""How a scanner sees a head: the head's pose, the scan's grid, thick slices, and files with their header."""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fpe_core.data.phantoms.smooth import Float32
from fpe_core.data.phantoms.spec import Scanner
from fpe_core.data.phantoms.template import FIRST_MM, STEP_MM
from fpe_core.files import write_atomic

nib: Any = nibabel
"""nibabel's own type information is partial."""
Matrix = NDArray[np.float64]
_HEAD_CENTRE_MM: Final = np.array([0.0, -16.0, 6.0])
_DIRECTION: Final = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}


@dataclass(frozen=True)
class Grid:
    """Voxels of one scan.

    Attributes:
        shape: in stored axis order.
        affine_ras: `(4, 4)` voxel index to scanner mm, RAS+.
    """

    shape: tuple[int, int, int]
    affine_ras: Matrix

    @property
    def spacing_mm(self) -> Matrix:
        """`(3,)` voxel size along the stored axes."""
        return np.asarray(np.linalg.norm(self.affine_ras[:3, :3], axis=0))


@dataclass(frozen=True)
class Pose:
    """Where the head lies: scanner mm = rotation · (head mm - centre) + centre + shift_mm."""

    rotation: Matrix
    shift_mm: Matrix

    @classmethod
    def draw(cls, scanner: Scanner, rng: np.random.Generator) -> "Pose":
        """A rotation about each axis and a shift, as the scanner's fields say."""
        angles = np.clip(rng.normal(0, 1, 3) * scanner.rotation_deg, -15, 15)
        shift = np.clip(rng.normal(0, 1, 3) * scanner.off_centre_mm, -25, 25)
        return cls(_rotation(np.deg2rad(angles)), shift)

    def moved(self, motion_mm: float, rng: np.random.Generator) -> "Pose":
        """The pose a little later: a shift of `motion_mm` and a turn of half as many degrees, both random."""
        turn = _rotation(np.deg2rad(rng.normal(0, 0.5 * motion_mm, 3)))
        return Pose(turn @ self.rotation, self.shift_mm + rng.normal(0, motion_mm, 3))

    def to_scanner(self, head_mm: Matrix) -> Matrix:
        """`(N, 3)` scanner mm of `(N, 3)` head mm."""
        return np.asarray((head_mm - _HEAD_CENTRE_MM) @ self.rotation.T + _HEAD_CENTRE_MM + self.shift_mm)

    def index_map(self, grid: Grid) -> tuple[Matrix, Matrix]:
        """Matrix `(3, 3)` and offset `(3,)` from a voxel of the scan to an index on the head's grid."""
        inverse = self.rotation.T / np.array(STEP_MM)[:, None]
        origin = grid.affine_ras[:3, 3] - _HEAD_CENTRE_MM - self.shift_mm
        head_offset = (_HEAD_CENTRE_MM - np.array(FIRST_MM)) / np.array(STEP_MM)
        return inverse @ grid.affine_ras[:3, :3], inverse @ origin + head_offset


def plan_grid(scanner: Scanner, pose: Pose, *, spacing_mm: float, thickness_mm: float, height_mm: float) -> Grid:
    """Slices over the head as a technologist would place them: centred on it up and down, tilted, not turned."""
    directions, sizes = np.zeros((3, 3)), [0, 0, 0]
    for stored, letter in enumerate(scanner.orientation):
        axis, sign = _DIRECTION[letter]
        step = thickness_mm if axis == 2 else spacing_mm
        directions[axis, stored] = sign * step
        sizes[stored] = round((height_mm if axis == 2 else scanner.field_of_view_mm) / step)
    affine = np.eye(4)
    affine[:3, :3] = _rotation(np.array([np.deg2rad(scanner.tilt_deg), 0, 0])) @ directions
    centre = _HEAD_CENTRE_MM + np.array([0.0, 0.0, pose.shift_mm[2] - 2.0])
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(sizes) - 1) / 2)
    return Grid((sizes[0], sizes[1], sizes[2]), affine)


def scan(volume: Float32, grid: Grid, pose: Pose, *, thickness_mm: float, outside: float = 0.0) -> Float32:
    """`grid.shape` float32: a map on the head's grid as thick slices see it, `outside` where there is no head."""
    sigma = np.sqrt(max(0.0, thickness_mm**2 - STEP_MM[2] ** 2) / 12) / STEP_MM[2]
    blurred = ndimage.gaussian_filter1d(volume, sigma, axis=2, truncate=2.0) if sigma > 0.1 else volume
    matrix, offset = pose.index_map(grid)
    return np.asarray(
        ndimage.affine_transform(
            blurred, matrix, offset, output_shape=grid.shape, order=1, cval=outside, output=np.float32
        )
    )


def save_image(path: Path, values: NDArray[np.int16] | Float32, grid: Grid) -> None:
    """Write NIfTI with scanner coordinates; the same voxels give the same bytes."""
    image = nib.Nifti1Image(values, grid.affine_ras)
    image.header.set_xyzt_units("mm")
    image.set_sform(grid.affine_ras, 1)
    image.set_qform(grid.affine_ras, 1)
    write_atomic(path, gzip.compress(image.to_bytes(), compresslevel=1, mtime=0))


def _rotation(angles_rad: Matrix) -> Matrix:
    turned = np.eye(3)
    for axis, angle in enumerate(angles_rad):
        first, second = [other for other in range(3) if other != axis]
        step = np.eye(3)
        step[first, first] = step[second, second] = np.cos(angle)
        step[first, second], step[second, first] = -np.sin(angle), np.sin(angle)
        turned = step @ turned
    return turned
