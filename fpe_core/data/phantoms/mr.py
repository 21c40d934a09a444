"""DWI, ADC and FLAIR of a phantom head."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from scipy import ndimage

from fpe_core.data.phantoms.acquisition import Grid, Pose, plan_grid, save_image, scan
from fpe_core.data.phantoms.anatomy import Head
from fpe_core.data.phantoms.smooth import Float32, SmoothField
from fpe_core.data.phantoms.spec import Scanner
from fpe_core.data.phantoms.template import FIRST_MM, STEP_MM
from fpe_core.data.phantoms.vessels import Occlusion, paint, vessel_tree

_B_S_PER_MM2: Final = 1000.0
# Signal relative to grey matter, and apparent diffusion in 1e-3 mm²/s.
_B0: Final = {"grey": 1.0, "white": 0.78, "csf": 2.3, "bone": 0.06, "soft": 0.40, "fat": 0.15, "eyes": 2.3}
_FLAIR: Final = {"grey": 1.0, "white": 0.80, "csf": 0.12, "bone": 0.07, "soft": 0.55, "fat": 0.95, "eyes": 0.2}
_ADC: Final = {"grey": 0.82, "white": 0.72, "csf": 3.0, "bone": 0.5, "soft": 1.2, "fat": 0.3, "eyes": 3.0}
_HEIGHT_MM: Final = 156.0


@dataclass(frozen=True)
class MrFindings:
    """What the stroke does to the signal.

    Attributes:
        core_adc: apparent diffusion in the core, 1e-3 mm²/s (0.35 to 0.58; lower with poor collaterals).
        core_flair: FLAIR signal of the core over normal tissue (1 early, brighter after about 4.5 hours).
        slow_flow: share of the distal branches that are bright on FLAIR, 0 to 1.
    """

    core_adc: float
    core_flair: float
    slow_flow: float


def write_mr(
    folder: Path, stem: str, head: Head, findings: MrFindings, occlusion: Occlusion, scanner: Scanner,
    rng: np.random.Generator, pose: Pose | None = None, flair_spacing_mm: float | None = None,
) -> dict[str, str]:  # fmt: skip
    """Write one case's DWI, ADC and FLAIR. The head lies at `pose`, else it is drawn.

    `flair_spacing_mm` is the in-plane voxel size of FLAIR where it is not the scanner's `spacing_mm`.

    Returns:
        File name by sequence.
    """
    pose = pose or Pose.draw(scanner, rng)
    grid = _grid(scanner, pose, scanner.spacing_mm)
    field = SmoothField.draw(rng, components=1, length_mm=110.0)
    receive = _receive_field(field, grid, scanner.bias)
    dwi, adc = _diffusion(head, findings, scanner, grid, pose.moved(scanner.motion_mm, rng), receive, rng)
    later = pose.moved(scanner.motion_mm, rng)
    flair_grid = _grid(scanner, pose, flair_spacing_mm or scanner.spacing_mm)
    flair = scan(_flair(head, findings, occlusion), flair_grid, later, thickness_mm=scanner.thickness_mm)
    flair = _noisy(flair * _receive_field(field, flair_grid, scanner.bias), 1 / scanner.snr, rng)
    names = {name: f"{stem}_{name}.nii.gz" for name in ("dwi", "adc", "flair")}
    save_image(folder / names["dwi"], _stored(dwi * scanner.gain), grid)
    in_micro = scanner.adc_unit == "1e-6 mm2/s"
    save_image(folder / names["adc"], _stored(adc * 1000) if in_micro else adc, grid)
    save_image(folder / names["flair"], _stored(flair * scanner.gain), flair_grid)
    return names


def _grid(scanner: Scanner, pose: Pose, spacing_mm: float) -> Grid:
    return plan_grid(scanner, pose, spacing_mm=spacing_mm, thickness_mm=scanner.thickness_mm, height_mm=_HEIGHT_MM)


def _diffusion(
    head: Head, findings: MrFindings, scanner: Scanner, grid: Grid, pose: Pose, receive: Float32,
    rng: np.random.Generator,
) -> tuple[Float32, Float32]:  # fmt: skip
    """Trace image at b = 1000 and the ADC map that the scanner computes from the two noisy images, zero in air."""
    b0_map = _mixed(head, _B0) * (1 + 0.15 * head.core) * (1 + 0.3 * head.lesion)
    adc_map = _mixed(head, _ADC) / np.maximum(_filled(head), 0.05)
    adc_map += head.core * (findings.core_adc - adc_map) + 0.25 * head.lesion
    maps = (b0_map, b0_map * np.exp(-adc_map * np.float32(_B_S_PER_MM2 / 1000)))
    seen = [
        _noisy(receive * scan(_stretched(values), grid, pose, thickness_mm=scanner.thickness_mm), 1 / scanner.snr, rng)
        for values in maps
    ]
    b0, dwi = seen
    ratio = np.maximum(dwi, 1e-3) / np.maximum(b0, 1e-3)
    adc = np.clip(-np.log(ratio), 0, 4) * (b0 > 0.35)
    return dwi, adc.astype(np.float32)


def _flair(head: Head, findings: MrFindings, occlusion: Occlusion) -> Float32:
    values = _mixed(head, _FLAIR)
    values *= 1 + (findings.core_flair - 1) * head.core + 0.7 * head.lesion
    bright = _slow_vessels(head, findings.slow_flow, occlusion)
    return np.asarray(np.maximum(values, 1.9 * bright), dtype=np.float32)


def _slow_vessels(head: Head, share: float, occlusion: Occlusion) -> Float32:
    """Arteries behind the clot in which blood creeps: bright lines in the Sylvian fissure, the more the slower."""
    volume = np.zeros_like(head.core)
    step = np.array(STEP_MM)
    for vessel in vessel_tree(occlusion):
        if vessel.side == occlusion.side and vessel.name in {"m1", "m2_superior", "m2_inferior"}:
            behind = np.flatnonzero(vessel.supply < 1)
            chosen = behind[: round(share * len(behind))]
            points = (head.warp.to_patient(vessel.points_mm[chosen]) - np.array(FIRST_MM)) / step
            radius = np.full(len(chosen), 2.0)
            volume = np.maximum(
                volume, paint(volume.shape, points, radius, spacing_mm=step, value=np.ones(len(chosen)))
            )
    return volume


def _mixed(head: Head, signal: dict[str, float]) -> Float32:
    total = np.zeros_like(head.grey)
    for tissue, value in signal.items():
        total += np.float32(value) * getattr(head, tissue)
    return total


def _filled(head: Head) -> Float32:
    return _mixed(head, dict.fromkeys(_B0, 1.0))


def _stretched(values: Float32) -> Float32:
    """Echo-planar stretch towards the front above the frontal sinus and the orbits, up to 5 mm."""
    block = np.s_[20:80, 72:116, 14:42]
    part = values[block]
    index = np.indices(part.shape, dtype=np.float32)
    centre = (29.0, 24.0, 12.0)
    squared = sum(((index[axis] - centre[axis]) / reach) ** 2 for axis, reach in enumerate((10.0, 9.0, 6.0)))
    index[1] -= 2.5 * np.exp(-squared)
    stretched = values.copy()
    stretched[block] = ndimage.map_coordinates(part, index, order=1, mode="nearest", output=np.float32)
    return stretched


def _receive_field(field: SmoothField, grid: Grid, bias: float) -> Float32:
    """Smooth relative sensitivity around 1 over the scan; `bias` is about its largest change."""
    steps = grid.spacing_mm
    x, y, z = (step * (np.arange(size) - size / 2) for step, size in zip(steps, grid.shape, strict=True))
    return np.asarray(1 + bias * np.tanh(field.on_grid((x, y, z))[0]), dtype=np.float32)


def _noisy(signal: Float32, sigma: float, rng: np.random.Generator) -> Float32:
    """Rician: the magnitude of the signal with Gaussian noise of `sigma` in both channels."""
    real = signal + np.float32(sigma) * rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary = np.float32(sigma) * rng.standard_normal(signal.shape, dtype=np.float32)
    return np.asarray(np.hypot(real, imaginary), dtype=np.float32)


def _stored(values: Float32) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return np.clip(np.rint(values), 0, 32767).astype(np.int16)
