"""The one interpolation between a scan as acquired and the network's grid."""

import numpy as np
from scipy import ndimage

from fpe_core.config.recipe import Grid
from fpe_core.imaging.geometry import inverted, reference_image, sitk_transform, to_sitk
from fpe_core.imaging.itk import sitk
from fpe_core.imaging.volume import Array, Mask, Matrix, Volume

_FWHM_PER_SIGMA = 2.0 * float(np.sqrt(2.0 * np.log(2.0)))


def to_grid(volume: Volume, grid: Grid, mni_from_native: Matrix, *, outside: float) -> Array:
    """`(Z, H, W)` float32 on the grid in MNI space, linear interpolation.

    Axes finer than the grid are smoothed first, to a full width at half maximum of one grid voxel, so that thin slices
    are averaged into thick ones instead of being skipped.

    Args:
        volume: native RAS+ axis order; the axes need not be at right angles: ITK finds each place by the full matrix.
        grid: see `Grid`.
        mni_from_native: `(4, 4)` native RAS+ mm to MNI RAS+ mm.
        outside: value beyond the scan's field of view.
    """
    return interpolated(low_passed(volume, grid), grid, mni_from_native, outside=outside)


def interpolated(volume: Volume, grid: Grid, mni_from_native: Matrix, *, outside: float) -> Array:
    """The second half of `to_grid`, for a volume that was smoothed already."""
    native_from_mni = sitk_transform(inverted(mni_from_native))
    image = sitk.Resample(to_sitk(volume), reference_image(grid), native_from_mni, sitk.sitkLinear, outside)
    data: Array = sitk.GetArrayFromImage(image).astype(np.float32, copy=False)
    return data


def mask_to_grid(mask_xyz: Mask, working: Volume, grid: Grid, mni_from_native: Matrix) -> Mask:
    """`(Z, H, W)` bool: grid voxels of which at least half is inside the mask."""
    share = working.with_data(mask_xyz.astype(np.float32))
    return to_grid(share, grid, mni_from_native, outside=0.0) >= 0.5


def low_passed(volume: Volume, grid: Grid) -> Volume:
    """The first half of `to_grid`: axes finer than the grid are smoothed, each by a Gaussian.

    With sheared axes as with straight ones, each is smoothed along itself.
    """
    wanted_xyz = np.array(grid.spacing_zyx_mm[::-1])
    data = volume.data_xyz
    for axis, (wanted, present) in enumerate(zip(wanted_xyz, volume.spacing_mm, strict=True)):
        if wanted > present * 1.01:
            sigma_voxels = float(np.sqrt(wanted**2 - present**2) / _FWHM_PER_SIGMA / present)
            # Only the first axis needs memory of its own; the others are smoothed in it.
            output = np.empty_like(data) if data is volume.data_xyz else data
            ndimage.gaussian_filter1d(data, sigma_voxels, axis=axis, mode="nearest", truncate=2.5, output=output)
            data = output
    return volume.with_data(data)
