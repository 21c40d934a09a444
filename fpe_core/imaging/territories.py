"""Vascular territories of the brain on any grid in MNI space, and the region that an occlusion concerns.

The product's own map is derived in code (`territory_borders`); a site may swap in a published atlas instead.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from scipy import ndimage

from fpe_core.config.recipe import Grid
from fpe_core.errors import CaseError, DataError
from fpe_core.imaging.content import file_sha256
from fpe_core.imaging.geometry import grid_affine_ras, inverted, reorient_to_ras
from fpe_core.imaging.nifti import read_volume
from fpe_core.imaging.template import load_template
from fpe_core.imaging.territory_borders import hemisphere_map
from fpe_core.imaging.volume import Mask, Matrix, Volume

TERRITORIES: Final = ("aca", "mca", "pca", "pica", "basilar")
"""Anterior, middle and posterior cerebral artery, posterior inferior cerebellar artery; `basilar`: the superior and
anterior inferior cerebellar arteries and the perforators of the brainstem."""
SIDES: Final = ("left", "right")
LABELS: Final[dict[int, tuple[str, str]]] = {
    2 * number + side: (name, SIDES[side]) for number, name in enumerate(TERRITORIES, start=1) for side in (0, 1)
}
"""Label -> territory and side: 2 and 3 are the left and right ACA, and so on to 10 and 11."""
SUPPLIED_BY: Final[dict[str, tuple[str, ...]]] = {
    "ica": ("aca", "mca"),
    "m1": ("mca",),
    "m2": ("mca",),
    "m3": ("mca",),
    "aca": ("aca",),
    "pca": ("pca",),
    "basilar": ("basilar", "pca"),
    "vertebral": ("pica", "basilar"),
}
"""Territories behind each occlusion site of the case table. The terminal carotid feeds ACA and MCA; a basilar occlusion
cuts off both PCAs as well."""
MARGIN_MM: Final = 8.0
"""How far the map goes on beyond the template's brain: a patient's mask may reach 5 mm beyond it."""
_MIN_COVERED: Final = 0.95
_ATLAS_LABELS = TypeAdapter(dict[int, dict[str, str]])


@dataclass(frozen=True, eq=False)
class Territories:
    """A map on a grid.

    Attributes:
        labels_zyx: `(Z, H, W)` uint8, keys of `LABELS`; 0 more than `MARGIN_MM` outside the template's brain.
        fingerprint: sha256 of what the map was made from: the borders, or the site's atlas and its labels.
    """

    labels_zyx: NDArray[np.uint8]
    fingerprint: str


def load_territories(grid: Grid, atlas: Path | None = None) -> Territories:
    """The map on a grid, each voxel as at its centre. The same grid and atlas give the same labels.

    Args:
        grid: of the recipe.
        atlas: a NIfTI file of whole numbers in MNI152 space, with a JSON file of the same name beside it:
            `{"1": {"name": "aca", "side": "left"}, …}`, names from `TERRITORIES`. Labels that are not in it are taken
            for background. None: the product's own map.

    Raises:
        DataError: the atlas or its JSON is missing or not as said above, or it covers less than 95 % of the brain.
    """
    if atlas is None:
        right, first_mm, fingerprint = _own_map()
        return Territories(_mirrored(right, first_mm, grid), fingerprint)
    labels, affine, fingerprint = _from_atlas(atlas)
    return Territories(_sampled(labels, affine, grid), fingerprint)


def region_mask(territories: Territories, occlusion_site: str, times_dilated: int = 2) -> Mask:
    """`(Z, H, W)` bool: the territory of the occluded vessel on both sides, dilated.

    One dilation adds the four neighbours within the slice (a cross of 3 × 3 voxels): 1 mm on the grid of 6 mm slices,
    where a neighbouring slice would be another part of the brain.

    Args:
        territories: on the images' grid.
        occlusion_site: a key of `SUPPLIED_BY`, as in the case table.
        times_dilated: 0 or more; 2 in the UCLA protocol.

    Raises:
        ValueError: no such site.
    """
    if occlusion_site not in SUPPLIED_BY:
        raise ValueError(f"occlusion_site should be one of {', '.join(SUPPLIED_BY)}, got {occlusion_site!r}")
    wanted = [label for label, (name, _) in LABELS.items() if name in SUPPLIED_BY[occlusion_site]]
    region: Mask = np.isin(territories.labels_zyx, wanted)
    if times_dilated:
        in_plane = ndimage.generate_binary_structure(2, 1)[None]
        region = ndimage.binary_dilation(region, in_plane, iterations=times_dilated)
    return region


@lru_cache(maxsize=1)
def _own_map() -> tuple[NDArray[np.uint8], Matrix, str]:
    """Labels of the right side at 1 mm, the place of the first voxel in MNI mm, `(3,)`, and the hash."""
    territory, affine = hemisphere_map()
    labels = np.where(territory > 0, 2 * territory + 1, 0).astype(np.uint8)
    content = hashlib.sha256(labels.tobytes() + affine.tobytes()).hexdigest()
    middle = round(-float(affine[0, 3]))
    return _with_margin(labels)[middle:], affine[:3, 3] + [middle, 0, 0], content


def _mirrored(right: NDArray[np.uint8], first_mm: Matrix, grid: Grid) -> NDArray[np.uint8]:
    """The right side's labels looked up at a place's distance from the midline, so that both sides are mirror images.

    A voxel in the middle is on the right; on the recipes' grids there is none.
    """
    affine = grid_affine_ras(grid)
    lines = [affine[axis, 3] + affine[axis, axis] * np.arange(size) for axis, size in enumerate(grid.shape_zyx[::-1])]
    on_left = lines[0] < 0
    lines[0] = np.abs(lines[0])
    index = [np.rint(line - first).astype(int) + 1 for line, first in zip(lines, first_mm, strict=True)]
    inside = [np.clip(i, 0, size + 1) for i, size in zip(index, right.shape, strict=True)]
    labels = np.pad(right, 1)[np.ix_(*inside)]
    labels -= (labels > 0) & on_left[:, None, None]
    return np.ascontiguousarray(labels.transpose(2, 1, 0))


def _from_atlas(path: Path) -> tuple[NDArray[np.uint8], Matrix, str]:
    names = path.parent / f"{path.name.removesuffix('.gz').removesuffix('.nii')}.json"
    wanted = _atlas_labels(names)
    try:
        volume = reorient_to_ras(read_volume(path))
        fingerprint = hashlib.sha256(f"{file_sha256(path)} {file_sha256(names)}".encode()).hexdigest()
    except CaseError as error:
        raise DataError(f"vascular atlas: {error}", hint="give a NIfTI file of labels in MNI152 space") from error
    if not np.array_equal(volume.data_xyz, np.rint(volume.data_xyz)):
        raise DataError(f"{path}: a vascular atlas holds whole numbers, got fractions")
    labels = np.zeros(volume.data_xyz.shape, dtype=np.uint8)
    for number, label in wanted.items():
        labels[volume.data_xyz == number] = label
    _check_covers_brain(path, volume, labels)
    return _with_margin(labels, volume.spacing_mm), volume.affine_ras, fingerprint


def _atlas_labels(path: Path) -> dict[int, int]:
    """The atlas' own number -> key of `LABELS`."""
    try:
        entries = _ATLAS_LABELS.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path}: missing; it names the labels of the vascular atlas beside it") from None
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{path}: not a list of labels ({type(error).__name__})",
            hint=f"write {json.dumps({'1': {'name': 'aca', 'side': 'left'}})} and so on",
        ) from None
    number_of = {meaning: label for label, meaning in LABELS.items()}
    found: dict[int, int] = {}
    for number, entry in entries.items():
        meaning = (entry.get("name", ""), entry.get("side", ""))
        if meaning not in number_of or set(entry) != {"name", "side"}:
            raise DataError(
                f"{path}: label {number}: name should be one of {', '.join(TERRITORIES)} and side left or right, "
                f"got {entry}"
            )
        found[number] = number_of[meaning]
    if missing := set(LABELS) - set(found.values()):
        lacking = ", ".join(" ".join(reversed(LABELS[label])) for label in sorted(missing))
        raise DataError(f"{path}: no label for {lacking}")
    return found


def _check_covers_brain(path: Path, atlas: Volume, labels: NDArray[np.uint8]) -> None:
    template = load_template(2)
    places = np.argwhere(template.brain_xyz)
    affine = inverted(atlas.affine_ras) @ template.t1.affine_ras
    index = (places @ affine[:3, :3].T + affine[:3, 3]).T
    covered = float((ndimage.map_coordinates(labels, index, order=0, mode="constant") > 0).mean())
    if covered < _MIN_COVERED:
        raise DataError(
            f"{path}: the vascular atlas should label at least {_MIN_COVERED:.0%} of the MNI152 brain, "
            f"got {covered:.0%}",
            hint="bring it to MNI152 space first, and name all its labels in the JSON",
        )


def _with_margin(labels: NDArray[np.uint8], spacing_mm: Matrix | None = None) -> NDArray[np.uint8]:
    """Unlabelled voxels near the brain get the nearest label: holes, fluid around a shrunken or swollen brain."""
    empty = labels == 0
    distance, nearest = ndimage.distance_transform_edt(empty, sampling=spacing_mm, return_indices=True)
    return np.where(distance <= MARGIN_MM, labels[tuple(nearest)], 0).astype(np.uint8)


def _sampled(labels: NDArray[np.uint8], affine: Matrix, grid: Grid) -> NDArray[np.uint8]:
    matrix = inverted(affine) @ grid_affine_ras(grid)
    on_grid = ndimage.affine_transform(
        labels, matrix[:3, :3], matrix[:3, 3], grid.shape_zyx[::-1], order=0, mode="constant", output=np.uint8
    )
    return np.ascontiguousarray(on_grid.transpose(2, 1, 0))
