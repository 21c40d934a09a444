"""The standard head that all phantoms are deformed from: MNI152 tissue maps with skull, scalp, face and neck around.

Brain tissue comes from the ICBM 152 (2009a, symmetric) maps inside nilearn's wheel. Everything outside the brain is
built from distances, since the template ends at the brain.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import nibabel
import nilearn
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fpe_core.data.phantoms.smooth import Axes, Float32

nib: Any = nibabel
"""nibabel's own type information is partial."""
STEP_MM: Final = (2.0, 2.0, 3.0)
FIRST_MM: Final = (-98.0, -138.0, -108.0)
SHAPE: Final = (99, 123, 72)
_GREY_WHITE: Final = ("gm", "wm")
_VENTRICLES_REACH_MM: Final = ((-26.0, 26.0), (-52.0, 38.0), (-14.0, 36.0))
_EYES_MM: Final = ((-32.0, 66.0, -38.0), (32.0, 66.0, -38.0))


@dataclass(frozen=True)
class Template:
    """Maps on one RAS grid in MNI mm (`FIRST_MM`, `STEP_MM`, `SHAPE`), all float32.

    Attributes:
        grey, white: tissue fractions, 0 to 1.
        outside_brain_mm: distance to the brain's outer surface, negative inside.
        inside_head_mm: distance to the skin, negative outside.
        to_ventricle_mm: distance to the ventricles, 0 inside.
    """

    grey: Float32
    white: Float32
    outside_brain_mm: Float32
    inside_head_mm: Float32
    to_ventricle_mm: Float32


def grid_axes() -> Axes:
    """Coordinates of the template grid's voxel centres along x, y and z, in mm."""
    x, y, z = (
        np.asarray(first + step * np.arange(size), dtype=np.float64)
        for first, step, size in zip(FIRST_MM, STEP_MM, SHAPE, strict=True)
    )
    return x, y, z


@lru_cache(maxsize=1)
def load_template() -> Template:
    """Build the template; takes about a second, once per process."""
    grey, white = (_resampled(name) for name in _GREY_WHITE)
    t1 = _resampled("t1")
    x, y, z = np.ix_(*grid_axes())
    axes: Axes = (x, y, z)
    brain = ndimage.binary_fill_holes(t1 > 0.05)
    hull = ndimage.binary_closing(np.pad(brain, 8), ndimage.generate_binary_structure(3, 1), iterations=6)[
        8:-8, 8:-8, 8:-8
    ]
    outside_brain = _signed_distance(hull | brain)
    head = (outside_brain < 13.0) | _face_and_neck(axes)
    ventricles = brain & (grey + white < 0.4) & _within(axes, _VENTRICLES_REACH_MM)
    ventricles = ndimage.binary_opening(ventricles)
    to_ventricle = ndimage.distance_transform_edt(~ventricles, sampling=STEP_MM)
    return Template(grey, white, outside_brain, -_signed_distance(head), to_ventricle.astype(np.float32))


def eyes_mm() -> NDArray[np.float64]:
    """`(2, 3)` centres of the eyeballs in MNI mm; their radius is 12 mm."""
    return np.array(_EYES_MM)


def _resampled(name: str) -> Float32:
    """One of nilearn's maps on the template grid, scaled to 0..1."""
    folder = Path(nilearn.__file__).parent / "datasets" / "data"
    image = nib.load(folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz")
    values = np.asarray(image.dataobj, dtype=np.float32) / 255.0
    smoothed = ndimage.gaussian_filter(values, [0.7, 0.7, 1.1])
    offset = np.linalg.solve(image.affine, [*FIRST_MM, 1.0])[:3]
    return np.asarray(
        ndimage.affine_transform(smoothed, np.diag(STEP_MM), offset, output_shape=SHAPE, order=1), dtype=np.float32
    )


def _signed_distance(mask: NDArray[np.bool_]) -> Float32:
    outward = ndimage.distance_transform_edt(~mask, sampling=STEP_MM)
    inward = ndimage.distance_transform_edt(mask, sampling=STEP_MM)
    return np.asarray(outward - inward, dtype=np.float32)


def _face_and_neck(axes: Axes) -> NDArray[np.bool_]:
    x, y, z = axes
    face = (x / 62) ** 2 + ((y - 42) / 48) ** 2 + ((z + 70) / 58) ** 2 < 1
    neck = ((x / 58) ** 2 + ((y + 28) / 62) ** 2 < 1) & (z < -55)
    return np.asarray(face | neck)


def _within(axes: Axes, box: tuple[tuple[float, float], ...]) -> NDArray[np.bool_]:
    sides = [(low <= axis) & (axis <= high) for axis, (low, high) in zip(axes, box, strict=True)]
    return np.asarray(sides[0] & sides[1] & sides[2])
