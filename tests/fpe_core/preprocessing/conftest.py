"""Tiny heads made from the MNI152 template, acquired at a known place, for the preprocessing's own tests."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from fpe_core.imaging.geometry import block_mean, inverted
from fpe_core.imaging.nifti import read_volume, write_volume
from fpe_core.imaging.template import load_template, template_path
from fpe_core.imaging.volume import Array, Matrix, Volume

SPACING_MM = 2
AIR_HU, SKIN_HU, BONE_HU = -1000.0, 50.0, 1000.0

# Signal of grey matter, white matter and CSF. CT in HU, ADC in 10⁻³ mm²/s, the others in arbitrary units.
CONTRASTS = {
    "ncct": (37.0, 28.0, 8.0),
    "cta": (42.0, 32.0, 10.0),
    "dwi": (420.0, 380.0, 90.0),
    "adc": (0.85, 0.75, 3.0),
    "flair": (600.0, 470.0, 60.0),
    "b0": (1000.0, 820.0, 2400.0),
}
MARKER = {"ncct": 70.0, "cta": 250.0, "dwi": 900.0, "adc": 0.4, "flair": 1000.0, "b0": 1100.0}
MARKER_RAS_MM = np.array([38.0, 5.0, 22.0])
"""A lesion of 12 mm radius in the right hemisphere."""


@dataclass(frozen=True)
class Tissues:
    """Grey matter, white matter and CSF shares on the template at 2 mm, the brain, and distance outside it in mm."""

    grey: Array
    white: Array
    fluid: Array
    brain: Array
    outside_mm: Array
    affine_ras: Matrix


@pytest.fixture(scope="session")
def tissues() -> Tissues:
    def share(name: str) -> Array:
        volume = read_volume(template_path().with_name(f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz"))
        return block_mean(volume, (SPACING_MM,) * 3).data_xyz / np.float32(255)

    template = load_template(SPACING_MM)
    brain = template.brain_xyz.astype(np.float32)
    grey, white = share("gm") * brain, share("wm") * brain
    total = np.maximum(grey + white, 1.0)
    fluid = np.clip(brain - grey / total - white / total, 0, 1)
    outside = ndimage.distance_transform_edt(~template.brain_xyz, sampling=SPACING_MM).astype(np.float32)
    return Tissues(grey / total, white / total, fluid, brain, outside, template.t1.affine_ras)


def affine(*, rotation_deg=(0.0, 0.0, 0.0), shift_mm=(0.0, 0.0, 0.0), scale=1.0) -> Matrix:
    """`(4, 4)` MNI RAS+ mm to native RAS+ mm: scale, then rotations about x, y, z, then the shift."""
    matrix = np.eye(4)
    matrix[:3, :3] *= scale
    for axis, angle in enumerate(np.radians(rotation_deg)):
        a, b = [other for other in range(3) if other != axis]
        turn = np.eye(4)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    matrix[:3, 3] = shift_mm
    return matrix


class HeadScanner:
    """Acquires the template head with a contrast, at a place, on a voxel grid and in an orientation of choice."""

    def __init__(self, tissues: Tissues) -> None:
        self.tissues = tissues

    def head(self, sequence: str, *, skull: bool, marker: bool) -> Volume:
        t = self.tissues
        grey, white, fluid = CONTRASTS[sequence]
        data = t.grey * grey + t.white * white + t.fluid * fluid
        if marker:
            index = np.moveaxis(np.indices(data.shape), 0, -1) @ t.affine_ras[:3, :3].T + t.affine_ras[:3, 3]
            near = np.linalg.norm(index - MARKER_RAS_MM, axis=-1) < 12
            data = np.where(near, MARKER[sequence], data)
        if skull:
            ct = sequence in ("ncct", "cta")
            bone, skin, air = (BONE_HU, SKIN_HU, AIR_HU) if ct else (0.02 * grey, 0.5 * grey, 0.0)
            data = np.where(t.outside_mm > 0, grey * 0.3 if not ct else 10.0, data)
            data = np.where(t.outside_mm > 3, bone, data)
            data = np.where(t.outside_mm > 9, skin, data)
            data = np.where(t.outside_mm > 14, air, data)
        return Volume(np.pad(data, 9, constant_values=data[0, 0, 0]).astype(np.float32), _padded(t.affine_ras, 9))

    def acquire(
        self,
        sequence: str,
        *,
        native_from_mni: Matrix | None = None,
        spacing_mm=(3.0, 3.0, 5.0),
        orientation: str = "LAS",
        skull: bool = True,
        marker: bool = False,
        noise: float = 0.02,
        seed: int = 0,
    ) -> Volume:
        """Noise is a share of grey matter's signal; orientation as in nibabel's codes."""
        head = self.head(sequence, skull=skull, marker=marker)
        place = np.eye(4) if native_from_mni is None else native_from_mni
        shape = np.ceil(np.array([216.0, 256.0, 200.0]) / np.array(spacing_mm)).astype(int)
        ras = np.diag([*spacing_mm, 1.0])
        ras[:3, 3] = (place @ np.array([0, -17, 2, 1.0]))[:3] - (shape - 1) / 2 * np.array(spacing_mm)
        to_head = inverted(head.affine_ras) @ inverted(place) @ ras
        data = ndimage.affine_transform(
            head.data_xyz, to_head[:3, :3], to_head[:3, 3], tuple(shape), order=1, cval=float(head.data_xyz[0, 0, 0])
        )
        rng = np.random.default_rng(seed)
        sd = noise * abs(CONTRASTS[sequence][0])
        noisy = data + rng.normal(0, sd, data.shape) if skull else np.where(data != 0, data + rng.normal(0, sd), 0)
        if sequence not in ("ncct", "cta"):
            noisy = np.abs(noisy)
        return _oriented(Volume(noisy.astype(np.float32), ras), orientation)

    def save(self, path: Path, sequence: str, **options: object) -> Path:
        write_volume(self.acquire(sequence, **options), path)  # type: ignore[arg-type]
        return path


def _padded(affine_ras: Matrix, width: int) -> Matrix:
    moved = affine_ras.copy()
    moved[:3, 3] = (affine_ras @ np.array([-width, -width, -width, 1.0]))[:3]
    return moved


def _oriented(volume: Volume, orientation: str) -> Volume:
    """A RAS+ volume stored in another orientation; every voxel keeps its place."""
    data, matrix = volume.data_xyz, volume.affine_ras
    for axis, (code, plus) in enumerate(zip(orientation, "RAS", strict=True)):
        if code != plus:
            flip = np.eye(4)
            flip[axis, axis], flip[axis, 3] = -1, data.shape[axis] - 1
            data, matrix = np.flip(data, axis), matrix @ flip
    return Volume(np.ascontiguousarray(data), matrix)


@pytest.fixture(scope="session")
def scanner(tissues: Tissues) -> HeadScanner:
    return HeadScanner(tissues)
