"""The checks that a scan passes before anything is computed from it."""

import numpy as np

from fpe_core.errors import CaseEmpty, CaseModalityWrong, CaseNonFinite, CaseSpacingImpossible
from fpe_core.imaging.geometry import spans_axes
from fpe_core.imaging.volume import Array, Volume

MIN_SPACING_MM, MAX_SPACING_MM = 0.1, 12.0
MIN_EXTENT_MM, MAX_EXTENT_MM = 70.0, 700.0
CT_SEQUENCES = ("ncct", "cta")
MIN_AIR_OR_BACKGROUND = 0.05


def check_volume(volume: Volume, sequence: str) -> None:
    """Refuse what cannot be a head scan of this sequence.

    Raises:
        CaseNonFinite: NaN or infinity anywhere.
        CaseEmpty: every voxel has the same value.
        CaseSpacingImpossible: voxel size outside 0.1-12 mm, extent outside 70-700 mm, or axes not at right angles.
        CaseModalityWrong: intensities that this sequence cannot have.
    """
    _check_geometry(volume, sequence)
    low, high = float(volume.data_xyz.min()), float(volume.data_xyz.max())
    if not np.isfinite([low, high]).all():
        raise CaseNonFinite(f"{sequence}: the image holds NaN or infinite values")
    if low == high:
        raise CaseEmpty(f"{sequence}: every voxel is {low:g}")
    if sequence in CT_SEQUENCES:
        _check_ct(volume.data_xyz, sequence)
    else:
        _check_mr(volume.data_xyz, sequence)


def _check_geometry(volume: Volume, sequence: str) -> None:
    if not spans_axes(volume):
        raise CaseSpacingImpossible(f"{sequence}: the affine is not one of three axes at right angles")
    spacing, extent = volume.spacing_mm, volume.extent_mm
    if spacing.min() < MIN_SPACING_MM or spacing.max() > MAX_SPACING_MM:
        raise CaseSpacingImpossible(f"{sequence}: voxels should be 0.1 to 12 mm, got {_shown(spacing)} mm")
    if extent.min() < MIN_EXTENT_MM or extent.max() > MAX_EXTENT_MM:
        raise CaseSpacingImpossible(f"{sequence}: a head scan spans 70 to 700 mm, got {_shown(extent)} mm")


def _check_ct(data: Array, sequence: str) -> None:
    """HU: brain near 0-100 in a good part of the image, nothing far beyond metal, and something unlike brain."""
    thin = data[::2, ::2, ::2]
    brain = float(((thin > 0) & (thin < 100)).mean())
    if thin.min() < -5000 or thin.max() > 40000:
        raise CaseModalityWrong(f"{sequence}: values from {thin.min():g} to {thin.max():g} are not HU")
    if brain < 0.01 or brain > 1 - MIN_AIR_OR_BACKGROUND:
        raise CaseModalityWrong(f"{sequence}: {brain:.1%} of the voxels lie in 0-100 HU, which no head CT has")
    if thin.min() >= 0 and float((thin == thin.min()).mean()) < MIN_AIR_OR_BACKGROUND:
        raise CaseModalityWrong(f"{sequence}: no air below 0 HU and no masked background; are these HU?")
    if thin.min() >= 0 and thin.max() > 4500:
        raise CaseModalityWrong(f"{sequence}: values from 0 to {thin.max():g} lack the HU offset of −1024")


def _check_mr(data: Array, sequence: str) -> None:
    """MR has no large negative share: a CT stored under an MR name has air near −1000 HU."""
    thin = data[::2, ::2, ::2]
    if float((thin < -200).mean()) > 0.2:
        raise CaseModalityWrong(f"{sequence}: a fifth of the voxels lie below −200, as in a CT")


def _shown(values: np.ndarray) -> str:
    return "×".join(f"{value:.3g}" for value in values)
