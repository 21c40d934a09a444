"""Numbers that say whether a case landed where it should."""

import numpy as np

from fpe_core.config.recipe import Grid
from fpe_core.errors import CaseRegistrationFailed
from fpe_core.imaging.geometry import inverted, sitk_transform, to_sitk
from fpe_core.imaging.itk import sitk
from fpe_core.imaging.template import Template
from fpe_core.imaging.volume import Array, Mask, Matrix, Volume
from fpe_core.preprocessing.resample import mask_to_grid, to_grid

_BINS = 32


def template_on(grid: Grid, template: Template) -> tuple[Array, Mask]:
    """The template `(Z, H, W)` float32, 0-1, and its brain `(Z, H, W)` bool on the grid."""
    here = np.eye(4)
    return (
        to_grid(template.t1, grid, here, outside=0.0),
        mask_to_grid(template.brain_xyz, template.t1, grid, here),
    )


def dice(first: Mask, second: Mask) -> float:
    """2|A∩B| / (|A|+|B|), 0 when both are empty."""
    total = int(first.sum()) + int(second.sum())
    return 2.0 * int((first & second).sum()) / total if total else 0.0


def overlap_with_template(brain_xyz: Mask, working: Volume, template: Template, mni_from_native: Matrix) -> float:
    """Dice coefficient of a brain mask and the template's brain, on the template's own voxels.

    The recipe's grid has no say: it may hold a part of the head only.

    Args:
        brain_xyz: `(X, Y, Z)` bool on `working`'s voxels.
        working: gives their place, native RAS+ mm.
        template: MNI152.
        mni_from_native: `(4, 4)` native RAS+ mm to MNI RAS+ mm.
    """
    share = to_sitk(working.with_data(brain_xyz.astype(np.float32)))
    there = sitk.Resample(share, to_sitk(template.t1), sitk_transform(inverted(mni_from_native)), sitk.sitkLinear, 0.0)
    return dice(sitk.GetArrayViewFromImage(there).transpose(2, 1, 0) >= 0.5, template.brain_xyz)


def scales(matrix: Matrix) -> Matrix:
    """`(3,)` factors by which a `(4, 4)` transform stretches its principal axes, largest first."""
    found: Matrix = np.linalg.svd(matrix[:3, :3], compute_uv=False).astype(np.float64)
    return found


def shift_mm(matrix: Matrix, centre_mni_mm: tuple[float, float, float]) -> float:
    """How far `centre_mni_mm` is from the place that a `(4, 4)` native-to-MNI transform takes there: the distance that
    the head lay from MNI's place in the scanner's frame.
    """
    native = (inverted(matrix) @ np.array([*centre_mni_mm, 1.0]))[:3]
    return float(np.linalg.norm(native - np.array(centre_mni_mm)))


def mutual_information(first: Array, second: Array, where: Mask) -> float:
    """Mutual information in nats of two images over the voxels in `where`, 32 × 32 bins between their 1st and 99th
    percentiles; 0 means independent.
    """
    a, b = first[where], second[where]
    if a.size == 0:
        return 0.0
    edges = [_edges(values) for values in (a, b)]
    joint, _, _ = np.histogram2d(np.clip(a, *edges[0][[0, -1]]), np.clip(b, *edges[1][[0, -1]]), bins=edges)
    joint /= joint.sum()
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / independent[seen])).sum())


def _edges(values: Array) -> Matrix:
    low, high = np.percentile(values, (1, 99))
    edges: Matrix = np.linspace(float(low), float(high) + 1e-6, _BINS + 1)
    return edges


def rotation_deg(matrix: Matrix) -> float:
    """Angle of the rotation nearest to the linear part of a `(4, 4)` transform, in degrees."""
    left, _, right = np.linalg.svd(matrix[:3, :3])
    return float(np.degrees(np.arccos(np.clip((np.trace(left @ right) - 1) / 2, -1, 1))))


def check_overlap(overlap: float, least: float) -> None:
    """Refuse a registration that misses the template.

    Raises:
        CaseRegistrationFailed: `overlap`, a Dice coefficient, is below `least`.
    """
    if overlap < least:
        raise CaseRegistrationFailed(f"brain mask and template should overlap by at least {least:g}, got {overlap:.2f}")


def grid_voxel_ml(grid: Grid) -> float:
    """Volume of one voxel of the grid, in ml."""
    return float(np.prod(grid.spacing_zyx_mm)) / 1000.0
