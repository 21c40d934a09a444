"""The checks that a scan passes before anything is computed from it."""

import numpy as np

from fpe_core.errors import CaseEmpty, CaseModalityWrong, CaseNonFinite, CaseSpacingImpossible
from fpe_core.imaging.geometry import shear_deg, spans_space
from fpe_core.imaging.volume import Array, Volume

MIN_SPACING_MM, MAX_SPACING_MM = 0.1, 12.0
MIN_EXTENT_MM, MAX_EXTENT_MM = 70.0, 700.0
CT_SEQUENCES = ("ncct", "cta")
MIN_AIR_OR_BACKGROUND = 0.05
MAX_CT_SHEAR_DEG = 30.5
"""Gantries tilt by 30 degrees at most; the slices lean by as much."""
MAX_MR_SHEAR_DEG = 5.0
_OFFSET_HU = 1024.0
_AIR_TOP_HU = -200.0


def check_volume(volume: Volume, sequence: str) -> None:
    """Refuse what cannot be a head scan of this sequence.

    Raises:
        CaseNonFinite: NaN or infinity anywhere.
        CaseEmpty: every voxel has the same value.
        CaseSpacingImpossible: voxel size outside 0.1-12 mm, extent outside 70-700 mm, or axes further from right
            angles than a gantry's tilt makes them (CT) or rounding does (MR).
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
    if not spans_space(volume.affine_ras):
        raise CaseSpacingImpossible(f"{sequence}: the affine does not span three axes")
    shear, most = shear_deg(volume.affine_ras), MAX_CT_SHEAR_DEG if sequence in CT_SEQUENCES else MAX_MR_SHEAR_DEG
    if shear > most:
        raise CaseSpacingImpossible(f"{sequence}: axes should be within {most:g}° of right angles, got {shear:.1f}°")
    spacing, extent = volume.spacing_mm, volume.extent_mm
    if spacing.min() < MIN_SPACING_MM or spacing.max() > MAX_SPACING_MM:
        raise CaseSpacingImpossible(f"{sequence}: voxels should be 0.1 to 12 mm, got {_shown(spacing)} mm")
    if extent.min() < MIN_EXTENT_MM or extent.max() > MAX_EXTENT_MM:
        raise CaseSpacingImpossible(f"{sequence}: a head scan spans 70 to 700 mm, got {_shown(extent)} mm")


def _check_ct(data: Array, sequence: str) -> None:
    """HU: brain near 0-100 in a good part of the image, nothing far beyond metal, and something unlike brain."""
    thin = data[::2, ::2, ::2]
    low, high = float(thin.min()), float(thin.max())
    if low < -5000 or high > 40000:
        raise CaseModalityWrong(f"{sequence}: values from {low:g} to {high:g} are not HU")
    if low > _AIR_TOP_HU and _lacks_offset(thin):
        raise CaseModalityWrong(
            f"{sequence}: soft tissue lies near 1024 and nothing near −1000: the HU offset of −1024 was left out",
            hint="convert the series again with its rescale intercept, for example with `fpe-client import dicom`",
        )
    brain = float(((thin > 0) & (thin < 100)).mean())
    if brain < 0.01 or brain > 1 - MIN_AIR_OR_BACKGROUND:
        raise CaseModalityWrong(f"{sequence}: {brain:.1%} of the voxels lie in 0-100 HU, which no head CT has")
    if low >= 0 and float((thin == low).mean()) < MIN_AIR_OR_BACKGROUND:
        raise CaseModalityWrong(f"{sequence}: no air below 0 HU and no masked background; are these HU?")


def _lacks_offset(thin: Array) -> bool:
    """Whether the values are HU + 1024, as scanners store them: far more voxels are soft tissue there than bone.

    In HU the same values are cortical bone, which has as many voxels above them.
    """
    soft = float(((thin > _OFFSET_HU - 20) & (thin < _OFFSET_HU + 100)).mean())
    bone = float((thin > _OFFSET_HU + 200).mean())
    return soft > 0.02 and soft > 1.5 * bone


def _check_mr(data: Array, sequence: str) -> None:
    """MR has no large negative share: a CT stored under an MR name has air near −1000 HU."""
    thin = data[::2, ::2, ::2]
    if float((thin < -200).mean()) > 0.2:
        raise CaseModalityWrong(f"{sequence}: a fifth of the voxels lie below −200, as in a CT")


def _shown(values: np.ndarray) -> str:
    return "×".join(f"{value:.3g}" for value in values)
