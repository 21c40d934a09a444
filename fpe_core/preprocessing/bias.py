"""N4 bias-field correction (Tustison et al., IEEE TMI 2010), with SimpleITK."""

from typing import Any

import numpy as np

from fpe_core.config.recipe import N4Settings
from fpe_core.imaging.geometry import block_factors, block_mean, to_sitk
from fpe_core.imaging.itk import sitk
from fpe_core.imaging.volume import Array, Mask, Volume

_SPLINE_ORDER = 3


def fit_log_bias(working: Volume, brain_xyz: Mask, settings: N4Settings) -> Any:
    """The natural logarithm of the bias field, on a shrunken grid in native LPS+ mm.

    The field is smooth, so it is this small image that is interpolated later and the scan itself stays untouched.

    Args:
        working: MR image, not negative where it matters.
        brain_xyz: `(X, Y, Z)` bool, where the field is fitted.
        settings: see `N4Settings`.
    """
    factors = block_factors(working, settings.shrink_factor * float(working.spacing_mm.min()))
    small = block_mean(working, factors)
    share = block_mean(working.with_data(brain_xyz.astype(np.float32)), factors)
    image = to_sitk(small.with_data(np.maximum(small.data_xyz, 0)))
    mask = sitk.Cast(to_sitk(share) > 0.5, sitk.sitkUInt8)
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations(list(settings.iterations))
    n4.SetConvergenceThreshold(settings.convergence)
    spans = np.maximum(1, np.ceil(small.extent_mm / settings.spline_distance_mm)).astype(int)
    n4.SetNumberOfControlPoints([int(n) + _SPLINE_ORDER for n in spans])
    n4.Execute(image, mask)
    return sitk.Cast(n4.GetLogBiasFieldAsImage(image), sitk.sitkFloat32)


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
