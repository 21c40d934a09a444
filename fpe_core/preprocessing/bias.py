"""N4 bias-field correction (Tustison et al., IEEE TMI 2010), with SimpleITK."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fpe_core.config.recipe import N4Settings
from fpe_core.imaging.geometry import block_factors, block_mean, crop, to_sitk
from fpe_core.imaging.itk import sitk
from fpe_core.imaging.volume import Array, Mask, Volume

_SPLINE_ORDER = 3
_INSIDE = 0.5


def fit_log_bias(working: Volume, brain_xyz: Mask, settings: N4Settings) -> Any:
    """The natural logarithm of the bias field, on a shrunken grid around the brain in native LPS+ mm.

    The field is smooth, so it is this small image that is interpolated later and the scan itself stays untouched.

    Args:
        working: MR image, not negative where it matters.
        brain_xyz: `(X, Y, Z)` bool, where the field is fitted.
        settings: see `N4Settings`.
    """
    factors = block_factors(working, settings.shrink_factor * float(working.spacing_mm.min()))
    small = block_mean(working, factors)
    share = block_mean(working.with_data(brain_xyz.astype(np.float32)), factors)
    start, stop = _box(share.data_xyz > _INSIDE)
    image = to_sitk(crop(small.with_data(np.maximum(small.data_xyz, 0)), start, stop))
    mask = sitk.Cast(to_sitk(crop(share, start, stop)) > _INSIDE, sitk.sitkUInt8)
    spans, below, above = spline_domain(image.GetSize(), image.GetSpacing(), settings.spline_distance_mm)
    image, mask = (sitk.ConstantPad(each, below, above, 0) for each in (image, mask))
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations(list(settings.iterations))
    n4.SetConvergenceThreshold(settings.convergence)
    n4.SetNumberOfControlPoints([span + _SPLINE_ORDER for span in spans])
    n4.Execute(image, mask)
    field = sitk.Cast(n4.GetLogBiasFieldAsImage(image), sitk.sitkFloat32)
    return sitk.Crop(field, below, above)


def spline_domain(
    size: Sequence[int], spacing_mm: Sequence[float], distance_mm: float
) -> tuple[list[int], list[int], list[int]]:
    """Spans of the coarsest B-spline along each axis, and the voxels to add below and above the image for them.

    A span has `distance_mm` only when the image is as long as a whole number of them; so ANTs' N4BiasFieldCorrection
    (`--bspline-fitting [distance]`) pads the image, and so does this.
    """
    spans, below, above = [], [], []
    for voxels, step_mm in zip(size, spacing_mm, strict=True):
        length_mm = (voxels - 1) * step_mm
        spans.append(max(1, int(np.ceil(length_mm / distance_mm))))
        missing = int((spans[-1] * distance_mm - length_mm) / step_mm + 0.5)
        below.append(missing // 2)
        above.append(missing - missing // 2)
    return spans, below, above


def _box(mask_xyz: Mask) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """First voxel of the box around a mask, and the one behind its last; the whole image around an empty one."""
    if not mask_xyz.any():
        return (0, 0, 0), (mask_xyz.shape[0], mask_xyz.shape[1], mask_xyz.shape[2])
    used = [np.flatnonzero(mask_xyz.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    first, last = [int(u[0]) for u in used], [int(u[-1]) + 1 for u in used]
    return (first[0], first[1], first[2]), (last[0], last[1], last[2])


def bias_on(log_bias: Any, reference: Any, transform: Any) -> Array:
    """The field itself `(Z, Y, X)` on `reference`'s voxels; `transform` takes their mm to native LPS+ mm."""
    resampler = sitk.ResampleImageFilter()
    resampler.SetReferenceImage(reference)
    resampler.SetTransform(transform)
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.UseNearestNeighborExtrapolatorOn()
    field: Array = np.exp(sitk.GetArrayFromImage(resampler.Execute(log_bias)))
    return field


def without_bias(volume: Volume, log_bias: Any) -> Volume:
    """`volume` divided by the field."""
    field = bias_on(log_bias, to_sitk(volume), sitk.Transform(3, sitk.sitkIdentity))
    return volume.with_data(volume.data_xyz / field.transpose(2, 1, 0))
