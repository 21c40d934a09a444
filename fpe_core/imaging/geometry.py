"""Orientation, affines and grids: the one place where the order of axes changes.

Three orders meet here. NIfTI arrays and everything native are `_xyz` with a RAS+ affine. ITK works in LPS+ mm. Network
volumes are `_zyx` on the recipe's grid: z from foot to head, h from anterior to posterior, w from the patient's right
to the left. A slice drawn with row 0 on top is therefore what a radiologist sees.
"""

from typing import Any

import nibabel
import numpy as np

from fpe_core.config.recipe import Grid
from fpe_core.imaging.itk import sitk
from fpe_core.imaging.volume import Array, Matrix, Volume

nib: Any = nibabel
"""nibabel's own type information is partial."""

RAS_FROM_LPS: Matrix = np.diag([-1.0, -1.0, 1.0, 1.0])


def reorient_to_ras(volume: Volume) -> Volume:
    """Flip and permute axes so that x runs to the right, y to anterior, z to superior as nearly as they can.

    Moves voxels without interpolation; every voxel keeps its place in RAS+ mm.
    """
    orientation = nib.orientations.io_orientation(volume.affine_ras)
    data = nib.orientations.apply_orientation(volume.data_xyz, orientation)
    undo = nib.orientations.inv_ornt_aff(orientation, volume.data_xyz.shape)
    return Volume(np.ascontiguousarray(data, dtype=np.float32), volume.affine_ras @ undo)


def crop(volume: Volume, start_xyz: tuple[int, int, int], stop_xyz: tuple[int, int, int]) -> Volume:
    """The box from `start_xyz` up to, not including, `stop_xyz`; voxels keep their place in RAS+ mm."""
    box = tuple(slice(a, b) for a, b in zip(start_xyz, stop_xyz, strict=True))
    affine = volume.affine_ras.copy()
    affine[:3, 3] = (volume.affine_ras @ np.array([*start_xyz, 1.0]))[:3]
    return Volume(np.ascontiguousarray(volume.data_xyz[box]), affine)


def block_factors(volume: Volume, spacing_mm: float) -> tuple[int, int, int]:
    """How many voxels to average along x, y and z to come near `spacing_mm` without passing it by a half."""
    near = np.maximum(1, np.round(spacing_mm / volume.spacing_mm)).astype(int)
    return int(near[0]), int(near[1]), int(near[2])


def block_mean(volume: Volume, factors_xyz: tuple[int, int, int]) -> Volume:
    """Average blocks of voxels; an incomplete block at the far end of an axis is left out."""
    if factors_xyz == (1, 1, 1):
        return volume
    counts = [size // factor for size, factor in zip(volume.data_xyz.shape, factors_xyz, strict=True)]
    data = volume.data_xyz[tuple(slice(0, n * f) for n, f in zip(counts, factors_xyz, strict=True))]
    split = [part for pair in zip(counts, factors_xyz, strict=True) for part in pair]
    step = np.diag([*factors_xyz, 1.0])
    step[:3, 3] = (np.array(factors_xyz) - 1) / 2
    return Volume(data.reshape(split).mean(axis=(1, 3, 5), dtype=np.float32), volume.affine_ras @ step)


def grid_affine_ras(grid: Grid) -> Matrix:
    """`(4, 4)` float64 from (w, h, z, 1) indices of the grid to MNI RAS+ mm.

    The columns are those of the array transposed to (w, h, z), which is what a NIfTI file of it would hold.
    """
    spacing_xyz = np.array(grid.spacing_zyx_mm[::-1])
    shape_xyz = np.array(grid.shape_zyx[::-1])
    affine: Matrix = RAS_FROM_LPS @ np.diag([*spacing_xyz, 1.0])
    affine[:3, 3] = np.array(grid.centre_ras_mm) - affine[:3, :3] @ ((shape_xyz - 1) / 2)
    return affine


def to_sitk(volume: Volume) -> Any:
    """The same image in ITK's LPS+ frame."""
    return _placed(sitk.GetImageFromArray(volume.data_xyz.transpose(2, 1, 0)), volume.affine_ras)


def _placed(image: Any, affine_ras: Matrix) -> Any:
    origin, spacing, direction = itk_frame(affine_ras)
    image.SetOrigin(origin.tolist())
    image.SetSpacing(spacing.tolist())
    image.SetDirection(direction.ravel().tolist())
    return image


def itk_frame(affine_ras: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """Origin `(3,)` and spacing `(3,)` in mm and direction `(3, 3)` of a RAS+ affine in ITK's LPS+ frame."""
    lps = RAS_FROM_LPS @ affine_ras
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    return lps[:3, 3], spacing, lps[:3, :3] / spacing


def reference_image(grid: Grid) -> Any:
    """An empty ITK image on the grid; its NumPy view is `(Z, H, W)`."""
    return _placed(sitk.Image([int(n) for n in grid.shape_zyx[::-1]], sitk.sitkFloat32), grid_affine_ras(grid))


def sitk_transform(matrix_ras: Matrix) -> Any:
    """ITK's form of a 4x4 point transform given in RAS+ mm."""
    lps = RAS_FROM_LPS @ matrix_ras @ RAS_FROM_LPS
    transform: Any = sitk.AffineTransform(3)
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation(lps[:3, 3].tolist())
    return transform


def inverted(matrix_ras: Matrix) -> Matrix:
    """The transform that goes back."""
    inverse: Matrix = np.linalg.inv(matrix_ras).astype(np.float64, copy=False)
    return inverse


def matrix_from_itk(parameters: Matrix, fixed_parameters: Matrix) -> Matrix:
    """`(4, 4)` RAS+ point transform from ITK's 12 affine parameters and the centre of rotation."""
    linear, translation, centre = parameters[:9].reshape(3, 3), parameters[9:12], fixed_parameters[:3]
    lps = np.eye(4)
    lps[:3, :3] = linear
    lps[:3, 3] = translation + centre - linear @ centre
    matrix: Matrix = RAS_FROM_LPS @ lps @ RAS_FROM_LPS
    return matrix


def zyx_from_xyz(data_xyz: Array) -> Array:
    """A `(W, H, Z)` array as `(Z, H, W)`; no voxel is flipped."""
    return np.ascontiguousarray(data_xyz.transpose(2, 1, 0))


def spans_axes(volume: Volume) -> bool:
    """Whether the affine is invertible, finite and its axes are at right angles within about two degrees."""
    linear = volume.affine_ras[:3, :3]
    if not np.isfinite(volume.affine_ras).all() or abs(np.linalg.det(linear)) < 1e-6:
        return False
    unit = linear / np.linalg.norm(linear, axis=0)
    return bool(np.abs(unit.T @ unit - np.eye(3)).max() < 0.035)
