"""NCCT and CTA of a phantom head."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fpe_core.data.phantoms.acquisition import Grid, Pose, plan_grid, save_image, scan
from fpe_core.data.phantoms.anatomy import Head
from fpe_core.data.phantoms.smooth import Float32
from fpe_core.data.phantoms.spec import Scanner
from fpe_core.data.phantoms.vessels import Occlusion, Vessel, clot, paint, vessel_tree

_AIR_HU: Final = -1000.0
_HU: Final = {"grey": 37.0, "white": 27.0, "csf": 8.0, "bone": 1100.0, "soft": 50.0, "fat": -80.0, "eyes": 12.0}
_BLOOD_HU: Final = 42.0
_CONTRAST_IN_TISSUE_HU: Final = {"grey": 8.0, "white": 4.0, "soft": 15.0}
_HEIGHT_MM: Final = 168.0


@dataclass(frozen=True)
class CtFindings:
    """What the stroke does to the density.

    Attributes:
        clot_hu: density of the clot in NCCT, 42 to 80 HU.
        core_drop_hu: how much darker the core is in NCCT, 2 to 8 HU; more with poor collaterals.
    """

    clot_hu: float
    core_drop_hu: float


def write_ct(
    folder: Path, stem: str, head: Head, findings: CtFindings, occlusion: Occlusion, scanner: Scanner,
    rng: np.random.Generator, pose: Pose | None = None,
) -> dict[str, str]:  # fmt: skip
    """Write one case's NCCT (thick slices) and CTA (thin slices), int16 in HU, head at `pose` or where it is drawn.

    Returns:
        File name by sequence.
    """
    pose = pose or Pose.draw(scanner, rng)
    names = {name: f"{stem}_{name}.nii.gz" for name in ("ncct", "cta")}
    plain = _density(head, _HU) - np.float32(findings.core_drop_hu) * head.core
    tissue = _density(head, {**_HU, **{name: _HU[name] + extra for name, extra in _CONTRAST_IN_TISSUE_HU.items()}})
    for name, volume, thickness in (
        ("ncct", plain, scanner.thickness_mm),
        ("cta", tissue - np.float32(0.5 * findings.core_drop_hu) * head.core, scanner.cta_thickness_mm),
    ):
        grid = _grid(scanner, pose, thickness)
        values = scan(volume, grid, pose, thickness_mm=thickness, outside=_AIR_HU)
        blood = _clot_image(head, findings, occlusion, grid, pose) if name == "ncct" else None
        lumen = _lumen_image(head, occlusion, scanner, grid, pose) if name == "cta" else blood
        values = np.maximum(values, lumen) if lumen is not None else values
        values = np.maximum(values, _calcification(head, occlusion, grid, pose))
        values += _petrous_band(head, grid, pose)
        values = np.maximum(values, _holder(grid))
        # Thin slices collect fewer photons: noise goes with the inverse root of the thickness.
        sigma = scanner.noise_hu * np.sqrt(min(scanner.thickness_mm / thickness, 3.0))
        values += np.float32(sigma) * rng.standard_normal(grid.shape, dtype=np.float32)
        save_image(folder / names[name], np.clip(np.rint(values), -1024, 3071).astype(np.int16), grid)
    return names


def artery_mask(
    head: Head, occlusion: Occlusion, scanner: Scanner, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], Grid]:
    """Where contrast fills arteries in the CTA that `write_ct` makes from the same `rng`, on its voxels.

    Voxels that are covered to half or more. Veins, and what the clot and missing collaterals leave empty, are not in
    it.
    """
    pose = Pose.draw(scanner, rng)
    grid = _grid(scanner, pose, scanner.cta_thickness_mm)
    mask = np.zeros(grid.shape, dtype=np.bool_)
    for vessel in vessel_tree(occlusion):
        if vessel.name != "sagittal_sinus":
            points, radius, _ = _filled(vessel)
            # `paint` dims a tube that is thinner than a slice; the mask does not.
            whole = 1 / np.minimum(1.0, 2 * radius / grid.spacing_mm.max())
            mask |= _tube(head, points, radius, whole, grid, pose) >= 0.5
    return mask, grid


def _grid(scanner: Scanner, pose: Pose, thickness_mm: float) -> Grid:
    return plan_grid(scanner, pose, spacing_mm=scanner.spacing_mm, thickness_mm=thickness_mm, height_mm=_HEIGHT_MM)


def _filled(vessel: Vessel) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Centre line and radius in mm of what contrast reaches, and which samples these are."""
    filled = vessel.supply > 0.02
    # Collaterals reach fewer and narrower branches.
    radius = vessel.radius_mm * (0.5 + 0.5 * np.sqrt(vessel.supply))
    return vessel.points_mm[filled], radius[filled], filled


def _density(head: Head, hu: dict[str, float]) -> Float32:
    """HU of a mixture: each tissue's share, and air for what remains."""
    total = np.full_like(head.grey, np.float32(_AIR_HU))
    for tissue, value in hu.items():
        total += np.float32(value - _AIR_HU) * getattr(head, tissue)
    return total


def _lumen_image(head: Head, occlusion: Occlusion, scanner: Scanner, grid: Grid, pose: Pose) -> Float32:
    volume = np.full(grid.shape, np.float32(_AIR_HU))
    for vessel in vessel_tree(occlusion):
        full = scanner.venous_hu if vessel.name == "sagittal_sinus" else scanner.arterial_hu
        value = _BLOOD_HU + vessel.supply * (full - _BLOOD_HU)
        points, radius, filled = _filled(vessel)
        volume = np.maximum(volume, _tube(head, points, radius, value[filled], grid, pose))
    return volume


def _clot_image(head: Head, findings: CtFindings, occlusion: Occlusion, grid: Grid, pose: Pose) -> Float32:
    points, radius = clot(occlusion)
    return _tube(head, points, radius * 1.15, np.full(len(points), findings.clot_hu), grid, pose)


def _calcification(head: Head, occlusion: Occlusion, grid: Grid, pose: Pose) -> Float32:
    """Plaque at the begin of the occlusion, up to 600 HU; none where there is no stenosis."""
    points, radius = clot(occlusion)
    if occlusion.stenosis < 0.5:
        return np.full(grid.shape, np.float32(_AIR_HU))
    plaque = slice(0, 6)
    side_step = np.array([0.0, 0.0, 1.2])
    value = np.full(len(points[plaque]), 130.0 + 940.0 * (occlusion.stenosis - 0.5))
    return _tube(head, points[plaque] + side_step, radius[plaque] * 0.6, value, grid, pose)


def _tube(
    head: Head, points_mm: NDArray[np.float64], radius_mm: NDArray[np.float64], value: NDArray[np.float64],
    grid: Grid, pose: Pose,
) -> Float32:  # fmt: skip
    """A tube given in template mm on the scan's grid; `_AIR_HU` away from it."""
    inverse = np.linalg.inv(grid.affine_ras)
    scanner_mm = pose.to_scanner(head.warp.to_patient(points_mm))
    index = scanner_mm @ inverse[:3, :3].T + inverse[:3, 3]
    painted = paint(grid.shape, index, radius_mm, spacing_mm=grid.spacing_mm, value=value)
    return np.where(painted > 0, painted, np.float32(_AIR_HU))


def _petrous_band(head: Head, grid: Grid, pose: Pose) -> Float32:
    """Beam hardening: a dark band of up to 8 HU between the petrous bones."""
    ends = np.stack([np.linspace(-45, 45, 181), np.full(181, -24.0), np.full(181, -34.0)], axis=1)
    band = _tube(head, ends, np.full(181, 4.0), np.full(181, 8.0), grid, pose)
    return np.where(band > 0, -band, np.float32(0))


def _holder(grid: Grid) -> Float32:
    """The head holder: a curved shell of plastic around the back of the head, at rest in the scanner."""
    stored = [np.arange(size, dtype=np.float32) for size in grid.shape]
    affine = grid.affine_ras.astype(np.float32)
    x, y = (
        affine[axis, 3]
        + affine[axis, 0] * stored[0][:, None, None]
        + affine[axis, 1] * stored[1][None, :, None]
        + affine[axis, 2] * stored[2][None, None, :]
        for axis in (0, 1)
    )
    distance = np.hypot(x, (y + 16) * np.float32(0.85))
    shell = np.clip(1 - np.abs(distance - 118) / 3, 0, 1) * (y < -40)
    return np.asarray(_AIR_HU + 1050 * shell, dtype=np.float32)
