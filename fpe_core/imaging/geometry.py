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
from fpe_core.imaging.volume import Array, Mask, Matrix, Volume

nib: Any = nibabel
"""nibabel's own type information is partial."""

RAS_FROM_LPS: Matrix = np.diag([-1.0, -1.0, 1.0, 1.0])
_STRAIGHT_DEG = 0.5
"""What header rounding makes of right angles, and more; over a head it moves nothing by more than a voxel."""


def reorient_to_ras(volume: Volume) -> Volume:
    """Flip and permute axes so that x runs to the right, y to anterior, z to superior as nearly as they can.

    Moves no voxel in memory: the result is a view of `volume`'s own, so that a thin CTA is not held twice.
    Every voxel keeps its place in RAS+ mm.
    """
    orientation = nib.orientations.io_orientation(volume.affine_ras)
    data = nib.orientations.apply_orientation(volume.data_xyz, orientation)
    undo = nib.orientations.inv_ornt_aff(orientation, volume.data_xyz.shape)
    return Volume(np.asarray(data, dtype=np.float32), volume.affine_ras @ undo)


def crop(volume: Volume, start_xyz: tuple[int, int, int], stop_xyz: tuple[int, int, int]) -> Volume:
    """The box from `start_xyz` up to, not including, `stop_xyz`; voxels keep their place in RAS+ mm."""
    box = tuple(slice(a, b) for a, b in zip(start_xyz, stop_xyz, strict=True))
    affine = volume.affine_ras.copy()
    affine[:3, 3] = (volume.affine_ras @ np.array([*start_xyz, 1.0]))[:3]
    return Volume(volume.data_xyz[box].copy(order="K"), affine)


def block_factors(volume: Volume, spacing_mm: float) -> tuple[int, int, int]:
    """How many voxels to average along x, y and z to come near `spacing_mm` without passing it by a half."""
    near = np.maximum(1, np.round(spacing_mm / volume.spacing_mm)).astype(int)
    return int(near[0]), int(near[1]), int(near[2])


def block_mean(volume: Volume, factors_xyz: tuple[int, int, int]) -> Volume:
    """Average blocks of voxels; an incomplete block at the far end of an axis is left out."""
    if factors_xyz == (1, 1, 1):
        return volume
    return Volume(_blocks(volume.data_xyz, factors_xyz), volume.affine_ras @ _block_step(factors_xyz))


def block_share(mask_xyz: Mask, volume: Volume, factors_xyz: tuple[int, int, int]) -> Volume:
    """`block_mean` of a mask on `volume`'s voxels: the share of each block that lies in the mask, 0 to 1."""
    return Volume(_blocks(mask_xyz, factors_xyz), volume.affine_ras @ _block_step(factors_xyz))


def _blocks(data_xyz: Array | Mask, factors_xyz: tuple[int, int, int]) -> Array:
    """Means of blocks, one layer of them at a time: NumPy would first copy a flipped or cut array as a whole."""
    counts = [size // factor for size, factor in zip(data_xyz.shape, factors_xyz, strict=True)]
    wide, high, _ = (count * factor for count, factor in zip(counts, factors_xyz, strict=True))
    split = [counts[0], factors_xyz[0], counts[1], factors_xyz[1], factors_xyz[2]]
    means = np.empty(counts, np.float32, order="F")
    for z in range(counts[2]):
        layer = data_xyz[:wide, :high, z * factors_xyz[2] : (z + 1) * factors_xyz[2]]
        means[:, :, z] = layer.reshape(split).mean(axis=(1, 3, 4), dtype=np.float32)
    return means


def _block_step(factors_xyz: tuple[int, int, int]) -> Matrix:
    step: Matrix = np.diag([*factors_xyz, 1.0])
    step[:3, 3] = (np.array(factors_xyz) - 1) / 2
    return step


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


def spans_space(affine_ras: Matrix) -> bool:
    """Whether an affine is finite and puts no two axes into one line or all three into one plane."""
    if not np.isfinite(affine_ras).all():
        return False
    length = np.linalg.norm(affine_ras[:3, :3], axis=0)
    return bool(length.min() > 0 and abs(np.linalg.det(affine_ras[:3, :3] / length)) > 1e-3)


def shear_deg(affine_ras: Matrix) -> float:
    """The largest angle by which two axes miss the right angle, in degrees.

    A CT whose gantry was tilted has its tilt here: the slices lean, while the table moves on along the scanner's axis.
    """
    unit = affine_ras[:3, :3] / np.linalg.norm(affine_ras[:3, :3], axis=0)
    cosines = np.abs(unit.T @ unit - np.diag(np.diag(unit.T @ unit)))
    return float(np.degrees(np.arcsin(np.clip(cosines.max(), 0, 1))))


def straightened(volume: Volume, *, outside: float) -> Volume:
    """The same image on axes at right angles, by one linear interpolation; an unsheared one is given back as it is.

    For what is only estimated: morphology and registration take axes to be at right angles. The new axes are those
    nearest to the old ones (polar decomposition), the voxel size stays, and the new box holds all of the old one.

    Args:
        volume: any image.
        outside: value of the new box's corners, which the scan does not reach.
    """
    if shear_deg(volume.affine_ras) < _STRAIGHT_DEG:
        return volume
    left, _, right = np.linalg.svd(volume.affine_ras[:3, :3] / volume.spacing_mm)
    axes = (left @ right) * volume.spacing_mm
    shape = np.array(volume.data_xyz.shape)
    corners = np.array(list(np.ndindex(2, 2, 2))) * (shape - 1)
    along = np.linalg.solve(axes, volume.affine_ras[:3, :3] @ corners.T)
    first, last = np.floor(along.min(axis=1) + 1e-6), np.ceil(along.max(axis=1) - 1e-6)
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = volume.affine_ras[:3, 3] + axes @ first
    size = (last - first).astype(int) + 1
    return resampled(volume, (int(size[0]), int(size[1]), int(size[2])), affine, outside=outside)


def resampled(volume: Volume, shape_xyz: tuple[int, int, int], affine_ras: Matrix, *, outside: float) -> Volume:
    """`volume` on other voxels of the same space, linear interpolation, `outside` where it does not reach."""
    place = _placed(sitk.Image(shape_xyz, sitk.sitkUInt8), affine_ras)
    here = sitk.Transform(3, sitk.sitkIdentity)
    moved = sitk.Resample(to_sitk(volume), place, here, sitk.sitkLinear, outside, sitk.sitkFloat32)
    return Volume(np.ascontiguousarray(sitk.GetArrayViewFromImage(moved).transpose(2, 1, 0)), affine_ras)
