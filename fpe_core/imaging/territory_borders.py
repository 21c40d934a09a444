"""Where one vascular territory ends and the next begins, as tables of landmarks in MNI mm, for one hemisphere.

The borders follow the anatomical maps of Tatu et al. (Neurology 1998;50:1699 for the hemispheres, 1996;47:1125 for
brainstem and cerebellum; Front Neurol Neurosci 2012;30:99), read on the ICBM 152 2009a symmetric template; where maps
differ, the middle was taken. docs/territories.md tells them in words.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import RegularGridInterpolator

from fpe_core.imaging.template import load_template
from fpe_core.imaging.volume import Array, Mask, Matrix

Labels = NDArray[np.uint8]

ACA, MCA, PCA, PICA, BASILAR = 1, 2, 3, 4, 5
"""Numbers of the territories of one side; BASILAR is the superior and anterior inferior cerebellar arteries and the
perforators of the brainstem."""

_Y_MM: Final = (76.0, 60.0, 40.0, 20.0, 5.0, -4.0, -10.0, -25.0, -40.0, -55.0, -70.0, -85.0, -100.0)
_Z_MM: Final = (-50.0, -35.0, -25.0, -15.0, -5.0, 5.0, 15.0, 25.0, 35.0, 45.0, 55.0, 65.0, 80.0)
# Distance from the midline, in mm, up to which the anterior (in front, above) or posterior (behind, below) cerebral
# artery supplies the hemisphere, and beyond which the middle one does. One row for each of _Y_MM, one number for each
# of _Z_MM.
_MEDIAL_MM: Final = (
    (12, 12, 12, 13, 14, 16, 18, 20, 21, 22, 22, 22, 22),
    (13, 13, 13, 13, 14, 15, 17, 19, 21, 22, 23, 23, 23),
    (14, 14, 14, 14, 14, 14, 15, 18, 21, 23, 24, 24, 24),
    (10, 12, 14, 14, 14, 9, 7, 15, 19, 22, 24, 25, 25),
    (0, 0, 6, 12, 10, 6, 6, 15, 18, 21, 24, 25, 26),
    (14, 12, 8, 10, 11, 12, 10, 15, 18, 21, 24, 25, 26),
    (48, 42, 30, 14, 13, 16, 14, 15, 18, 21, 24, 25, 26),
    (66, 60, 48, 36, 26, 23, 18, 15, 18, 21, 24, 25, 26),
    (68, 66, 60, 46, 34, 28, 23, 17, 18, 21, 24, 26, 27),
    (70, 68, 64, 53, 39, 32, 26, 21, 20, 22, 25, 27, 28),
    (72, 70, 68, 59, 46, 37, 31, 27, 24, 24, 26, 27, 28),
    (74, 74, 74, 68, 56, 46, 38, 33, 29, 27, 27, 27, 27),
    (80, 80, 80, 78, 72, 64, 56, 48, 40, 34, 30, 28, 28),
)
# Height above which the medial part belongs to the anterior cerebral artery: over the thalamus, over the splenium, then
# along the parieto-occipital sulcus.
_SPLIT_Y_MM: Final = (-100.0, -84.0, -72.0, -62.0, -54.0, -42.0, -34.0, -26.0, -8.0, -3.0)
_SPLIT_Z_MM: Final = (64.0, 42.0, 28.0, 19.0, 18.0, 19.0, 17.0, 17.0, 15.0, -60.0)
# Height of the tentorium over (|x|, y): the watershed below moves it to the dark line of the template.
_TENTORIUM_X_MM: Final = (0.0, 10.0, 20.0, 30.0, 40.0, 55.0)
_TENTORIUM_Y_MM: Final = (-95.0, -80.0, -65.0, -55.0, -45.0, -38.0)
_TENTORIUM_Z_MM: Final = (
    (-27, -26, -25, -24, -24, -24),
    (-17, -18, -20, -21, -22, -24),
    (-3, -9, -14, -18, -23, -29),
    (4, -5, -13, -18, -24, -32),
    (4, -3, -14, -20, -27, -34),
    (2, -4, -16, -24, -32, -38),
)
_MARKER_MM: Final = 5.0
# Border between the cerebellum's upper and lower arteries, the great horizontal fissure.
_FISSURE_Y_MM: Final = (-90.0, -65.0, -45.0)
_FISSURE_Z_MM: Final = (-32.0, -38.0, -44.0)
_AICA_FRONT_Y_MM: Final = -47.0
_AICA_BELOW_Z_MM: Final = -52.0


@lru_cache(maxsize=1)
def hemisphere_map() -> tuple[Labels, Matrix]:
    """Territory `(X, Y, Z)` uint8 at 1 mm, 0 outside the template's brain, else a number as above, and the affine
    `(4, 4)` to MNI RAS+ mm. Both sides are mirror images. Takes a few seconds, once per process.
    """
    template = load_template(1)
    brain, affine = template.brain_xyz, template.t1.affine_ras
    middle = brain.shape[0] // 2
    right = np.zeros(brain[middle:].shape, dtype=np.uint8)
    places = np.indices(right.shape, dtype=np.float32) + affine[:3, 3].astype(np.float32)[:, None, None, None]
    places[0] += middle
    low = _below_tentorium(template.t1.data_xyz[middle:], brain[middle:], places)
    right[:] = np.where(low, _hind(places), _cerebral(places))
    right = _in_one_piece(np.where(brain[middle:], right, 0).astype(np.uint8))
    whole = np.concatenate([right[:0:-1], right])
    return whole, affine


def _cerebral(places: Array) -> NDArray[np.int64]:
    limit = _table((_Y_MM, _Z_MM), _MEDIAL_MM, places[1:])
    split = np.interp(places[1], _SPLIT_Y_MM, _SPLIT_Z_MM)
    medial = np.where(places[2] > split, ACA, PCA)
    return np.where(places[0] < limit, medial, MCA)


def _hind(places: Array) -> NDArray[np.int64]:
    """Cerebellum by the great horizontal fissure; brainstem, peduncles and flocculus to the basilar's branches."""
    _, y, z = places
    under = z < np.interp(y, _FISSURE_Y_MM, _FISSURE_Z_MM)
    front = (y > _AICA_FRONT_Y_MM) & (z > _AICA_BELOW_Z_MM)
    return np.where(under & ~front & ~_in_brainstem(places), PICA, BASILAR)


def _in_brainstem(places: Array) -> Mask:
    x, y, z = places
    inside: Mask = (x < 11) & (y > -40 + 0.6 * np.minimum(z + 40, 0))
    return inside


def _below_tentorium(t1: Array, brain: Mask, places: Array) -> Mask:
    """Cerebellum and brainstem: watershed on the template between what is surely above and surely below."""
    x, y, z = places
    tentorium = _table((_TENTORIUM_Y_MM, _TENTORIUM_X_MM), _TENTORIUM_Z_MM, np.stack([y, x]))
    behind = y < -38
    stem = (x < 13) & (y <= -9) & (y >= -40) & (z < -12) | (x < 22) & (y <= -14) & (y >= -40) & (z < -34)
    low = (behind & (z < tentorium - _MARKER_MM)) | (stem & ~behind)
    around = (x > 24) | (y > -4) | (z > -4)
    high = np.where(behind, z > tentorium + _MARKER_MM, around)
    marker = np.where(low, 1, np.where(high, 2, 0)).astype(np.int16)
    marker[~brain] = 0
    # Outside the brain nothing flows; inside, dark is high.
    height = np.where(brain, np.clip(254 * (1 - t1), 0, 254), 255).astype(np.uint8)
    flooded: Mask = ndimage.watershed_ift(height, marker) == 1
    return flooded


def _table(
    axes: tuple[tuple[float, ...], tuple[float, ...]], values: tuple[tuple[float, ...], ...], at: Array
) -> Array:
    """Linear interpolation of a table at `(2, …)` places; beyond its edges the edge's value holds."""
    order = [np.argsort(axis) for axis in axes]
    ordered = [np.asarray(axis)[rank] for axis, rank in zip(axes, order, strict=True)]
    grid = np.asarray(values, dtype=np.float32)[np.ix_(*order)]
    inside = [np.clip(place, axis[0], axis[-1]) for place, axis in zip(at, ordered, strict=True)]
    found: Array = RegularGridInterpolator(ordered, grid)(np.stack(inside, axis=-1))
    return found


def _in_one_piece(labels: Labels) -> Labels:
    """Each territory reduced to its largest part; what is left over goes to the nearest one."""
    loose = np.zeros(labels.shape, dtype=np.bool_)
    for number in range(1, int(labels.max()) + 1):
        parts, _ = ndimage.label(labels == number)
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        loose |= (parts > 0) & (parts != sizes.argmax())
    nearest = ndimage.distance_transform_edt(loose | (labels == 0), return_distances=False, return_indices=True)
    return np.where(loose, labels[tuple(nearest)], labels)
