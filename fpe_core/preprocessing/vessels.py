"""The vessel prior: which voxels of a CTA are arteries of the head, found without a trained network.

Tubes are found by the Hessian's eigenvalues at several scales (Frangi et al., MICCAI 1998, in the form of Antiga,
Insight Journal 2007), and kept from seeds by hysteresis on density. Thresholds are shares of the
arteries' own contrast, which is measured in each scan. Bone is known from the NCCT, where nothing else is that dense
(matched mask bone elimination, Venema et al., Radiology 2001), and from the densest parts of the CTA. Dural sinuses and
the great midline veins are left out by their place in MNI space: a late scan shows them as bright as arteries.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fpe_core.config.recipe import VesselSettings
from fpe_core.errors import CaseModalityWrong
from fpe_core.imaging.geometry import inverted, resampled, to_sitk
from fpe_core.imaging.itk import sitk
from fpe_core.imaging.template import load_template
from fpe_core.imaging.volume import Array, Mask, Matrix, Volume
from fpe_core.preprocessing.morphology import grown

_TISSUE_HU = 45.0
_LEAST_HU = 90.0
"""Of a vessel, whatever the arteries' contrast; above contrast-filled brain and its noise."""
_NOISE_HU = 5.0
"""γ of the vesselness: below a structure of this strength it fades."""
_AIR_HU = -1000.0
_TOP_HU = 500.0
"""Above the brightest artery; what is brighter is clipped, so that a plaque is no vessel of its own."""
_NCCT_BONE_HU, _CTA_BONE_HU = 150.0, 550.0
_BONE_MM3 = 300.0
"""Smallest piece of the CTA's densest voxels that is bone: plaque in an artery is smaller."""
_BONE_MARGIN_MM = {True: 1.0, False: 2.2}
"""Rim of bone, blurred by the scanner, with and without an NCCT."""
_SEED_HU, _SEED_VESSELNESS = 150.0, 20.0
_LEAST_SEEDS_MM3 = 50.0
_ARTERIAL_PERCENTILE = 90.0
_REACH_BACK_VOXELS = 2
_BRIGHTEST = 1.15
_EVERY_NEIGHBOUR = np.ones((3, 3, 3))


@dataclass(frozen=True, eq=False)
class Head:
    """What is known about a head before its vessels are looked for. All images lie in native RAS+ mm of their own.

    Attributes:
        brain: 1 in the brain's mask, else 0, `(X, Y, Z)` float32.
        brain_from_cta: `(4, 4)` CTA mm to the mask's.
        mni_from_cta: `(4, 4)` CTA mm to MNI mm.
        ncct: in HU, in the mask's space; None where there is no NCCT.
    """

    brain: Volume
    brain_from_cta: Matrix
    mni_from_cta: Matrix
    ncct: Volume | None


def find_vessels(cta: Volume, head: Head, settings: VesselSettings) -> Volume:
    """Arteries inside the brain's mask: 1, else 0, float32, in CTA mm on cubic voxels of `settings.spacing_mm`.

    A CTA without contrast gives no vessels. The same input gives the same voxels.

    Args:
        cta: `(X, Y, Z)` in HU; its axes may lean.
        head: see `Head`.
        settings: of the recipe.
    """
    shape, affine = _box(head, settings.spacing_mm)
    hu = resampled(cta, shape, affine, outside=_AIR_HU).data_xyz
    brain = _in_cta_space(head.brain, head, shape, affine, outside=0.0) > 0.5
    bone = _bone(hu, head, shape, affine, settings.spacing_mm)
    allowed = brain & (hu > _LEAST_HU)
    allowed &= ~_venous(allowed, head.mni_from_cta @ affine)
    soft = np.where(bone, np.float32(_TISSUE_HU), np.clip(hu, 0, _TOP_HU))
    tubes = vesselness(soft, allowed & ~bone, settings.spacing_mm, settings.scales_mm)
    vessels = _traced(hu, tubes, allowed, bone, settings)
    return Volume(vessels.astype(np.float32), affine)


def check_own_vessels(mask: Volume, cta: Volume) -> None:
    """Check that a site's own mask belongs to its CTA.

    Raises:
        CaseModalityWrong: other voxels than the CTA's, or values besides 0 and 1.
    """
    same_place = np.allclose(mask.affine_ras, cta.affine_ras, atol=1e-3)
    if mask.data_xyz.shape != cta.data_xyz.shape or not same_place:
        raise CaseModalityWrong(
            f"vessels: the mask should lie on the CTA's voxels, {cta.data_xyz.shape}, got {mask.data_xyz.shape}"
            f"{'' if same_place else ' at another place'}",
            hint="draw it on this CTA, or leave the column empty to have it found",
        )
    if not np.isin(mask.data_xyz, (0.0, 1.0)).all():
        raise CaseModalityWrong("vessels: a mask holds 0 and 1 only", hint="export it as a binary mask")


def _box(head: Head, spacing_mm: float) -> tuple[tuple[int, int, int], Matrix]:
    """Cubic voxels along the axes of CTA mm, around the brain's mask."""
    corners = np.argwhere(head.brain.data_xyz > 0)
    low, high = corners.min(axis=0) - 1, corners.max(axis=0) + 1
    ends = np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), axis=-1).reshape(-1, 3)
    affine = inverted(head.brain_from_cta) @ head.brain.affine_ras
    places = ends @ affine[:3, :3].T + affine[:3, 3]
    sizes = np.ceil((places.max(axis=0) - places.min(axis=0)) / spacing_mm).astype(int) + 1
    box = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    box[:3, 3] = places.min(axis=0)
    return (int(sizes[0]), int(sizes[1]), int(sizes[2])), box


def _in_cta_space(image: Volume, head: Head, shape: tuple[int, int, int], affine: Matrix, *, outside: float) -> Array:
    moved = Volume(image.data_xyz, inverted(head.brain_from_cta) @ image.affine_ras)
    return resampled(moved, shape, affine, outside=outside).data_xyz


def _bone(hu: Array, head: Head, shape: tuple[int, int, int], affine: Matrix, spacing_mm: float) -> Mask:
    parts, _ = ndimage.label(hu > _CTA_BONE_HU)
    sizes_mm3 = np.bincount(parts.ravel()) * spacing_mm**3
    sizes_mm3[0] = 0
    bone: Mask = (sizes_mm3 > _BONE_MM3)[parts]
    if head.ncct is not None:
        bone |= _in_cta_space(head.ncct, head, shape, affine, outside=_AIR_HU) > _NCCT_BONE_HU
    return grown(bone, _BONE_MARGIN_MM[head.ncct is not None], np.full(3, spacing_mm))


def vesselness(hu: Array, at: Mask, spacing_mm: float, scales_mm: tuple[float, ...]) -> Array:
    """How much each voxel looks like part of a bright tube, as the largest over the scales, in HU.

    The same as ITK's objectness filter of dimension 1, scaled by the largest eigenvalue, α = β = 0.5 and γ = 5; but
    computed at a few voxels only, which takes a tenth of the time and memory.

    Args:
        hu: `(X, Y, Z)` float32 on cubic voxels.
        at: `(X, Y, Z)` bool, where it is wanted.
        spacing_mm: size of the voxels.
        scales_mm: standard deviations of the Gaussians.

    Returns:
        `(X, Y, Z)` float32, 0 elsewhere.
    """
    image = to_sitk(Volume(hu, np.diag([spacing_mm] * 3 + [1.0])))
    index = np.argwhere(at)
    best = np.zeros(len(index))
    for sigma_mm in scales_mm:
        smooth = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(image, sigma_mm)).transpose(2, 1, 0)
        best = np.maximum(best, _tubeness(_hessian(smooth, index) * (sigma_mm / spacing_mm) ** 2))
    found = np.zeros(hu.shape, dtype=np.float32)
    found[at] = best
    return found


def _hessian(smooth: Array, index: NDArray[np.intp]) -> Matrix:
    """`(N, 3, 3)` second differences per voxel at `(N, 3)` indices; the image goes on beyond its border."""
    last = np.array(smooth.shape) - 1

    def at(*steps: tuple[int, int]) -> Matrix:
        moved = index.copy()
        for axis, step in steps:
            moved[:, axis] += step
        values: Matrix = smooth[tuple(np.clip(moved, 0, last).T)].astype(np.float64)
        return values

    hessian = np.empty((len(index), 3, 3))
    for a in range(3):
        hessian[:, a, a] = at((a, 1)) - 2 * at() + at((a, -1))
        for b in range(a + 1, 3):
            mixed = at((a, 1), (b, 1)) - at((a, 1), (b, -1)) - at((a, -1), (b, 1)) + at((a, -1), (b, -1))
            hessian[:, a, b] = hessian[:, b, a] = mixed / 4
    return hessian


def _tubeness(hessian: Matrix) -> Matrix:
    """`(N,)` from `(N, 3, 3)`: large where two eigenvalues are large, alike and negative and the third is near 0."""
    values = np.linalg.eigvalsh(hessian)
    values = np.take_along_axis(values, np.argsort(np.abs(values), axis=1), axis=1)
    along, across, most = np.abs(values).T + 1e-12
    plate = 1 - np.exp(-2 * (across / most) ** 2)
    blob = np.exp(-2 * along**2 / (across * most))
    structure = 1 - np.exp(-(values**2).sum(axis=1) / (2 * _NOISE_HU**2))
    bright = (values[:, 1] < 0) & (values[:, 2] < 0)
    tubeness: Matrix = np.where(bright, plate * blob * structure * most, 0.0)
    return tubeness


def _traced(hu: Array, tubes: Array, allowed: Mask, bone: Mask, settings: VesselSettings) -> Mask:
    """Hysteresis; then a step back into the rim of the bone, where an artery runs along it."""
    seeds = hu[allowed & ~bone & (hu > _SEED_HU) & (tubes > _SEED_VESSELNESS)]
    if seeds.size * settings.spacing_mm**3 < _LEAST_SEEDS_MM3:
        return np.zeros(hu.shape, dtype=np.bool_)
    contrast = float(np.percentile(seeds, _ARTERIAL_PERCENTILE)) - _TISSUE_HU
    bright = allowed & (hu > _TISSUE_HU + settings.low * contrast)
    weak = bright & ~bone & (tubes > settings.low_vesselness * contrast)
    strong = weak & (hu > _TISSUE_HU + settings.high * contrast) & (tubes > settings.high_vesselness * contrast)
    parts, count = ndimage.label(weak, _EVERY_NEIGHBOUR)
    kept = np.bincount(parts.ravel(), minlength=count + 1) * settings.spacing_mm**3 >= settings.min_component_mm3
    kept &= np.isin(np.arange(count + 1), parts[strong])
    kept[0] = False
    vessels: Mask = kept[parts]
    near = bright & (hu < _TISSUE_HU + _BRIGHTEST * contrast)
    faces = ndimage.generate_binary_structure(3, 1)
    vessels |= ndimage.binary_dilation(vessels, faces, iterations=_REACH_BACK_VOXELS, mask=near)
    return vessels


def _venous(candidates: Mask, mni_from_voxel: Matrix) -> Mask:
    """Those of `candidates` that lie where the dural sinuses and the great midline veins run."""
    index = np.argwhere(candidates)
    found = np.zeros(candidates.shape, dtype=np.bool_)
    if len(index):
        places = index @ mni_from_voxel[:3, :3].T + mni_from_voxel[:3, 3]
        found[tuple(index[_is_venous(places)].T)] = True
    return found


def _is_venous(places_mm: Matrix) -> Mask:
    """`(N,)` bool for `(N, 3)` MNI mm."""
    depth = _depth_mm(places_mm)
    x, y, z = np.abs(places_mm[:, 0]), places_mm[:, 1], places_mm[:, 2]
    sagittal = (x < 10) & (depth < 12) & ((z > 8) | (y < -70))
    transverse = (x > 8) & (depth < 8) & (y < -40) & (z < 0)
    straight = (x < 5) & (y < -48) & (y > -95) & (np.abs(z - (8 + (y + 50) / 2)) < 7)
    galen_and_internal = (x < 4) & (y < -12) & (y > -52) & (z > 2) & (z < 17)
    venous: Mask = sagittal | transverse | straight | galen_and_internal
    return venous


def _depth_mm(places_mm: Matrix) -> Matrix:
    """Distance to the template brain's surface, negative outside, of `(N, 3)` MNI mm."""
    depth, voxel_from_mni = _template_depth()
    index = places_mm @ voxel_from_mni[:3, :3].T + voxel_from_mni[:3, 3]
    found: Matrix = ndimage.map_coordinates(depth, index.T, order=1, mode="nearest")
    return found


@lru_cache(maxsize=1)
def _template_depth() -> tuple[Array, Matrix]:
    template = load_template(2)
    inside = ndimage.distance_transform_edt(template.brain_xyz, sampling=2.0)
    outside = ndimage.distance_transform_edt(~template.brain_xyz, sampling=2.0)
    return (inside - outside).astype(np.float32), inverted(template.t1.affine_ras)
