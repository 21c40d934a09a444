"""CT: NCCT and CTA, or one of them."""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from fpe_core.config.recipe import PreprocessingRecipe
from fpe_core.errors import CaseSequenceMissing
from fpe_core.imaging.geometry import inverted, reorient_to_ras
from fpe_core.imaging.volume import Array, Mask, Matrix, Volume
from fpe_core.preprocessing.brain_ct import ct_brain
from fpe_core.preprocessing.history import History
from fpe_core.preprocessing.inner_table import beyond_surface_mm, cranial_cavity
from fpe_core.preprocessing.intensities import clip_to_window
from fpe_core.preprocessing.pipeline import Landed, Output, land, quality
from fpe_core.preprocessing.registration import brain_only, register_rigid
from fpe_core.preprocessing.resample import interpolated, low_passed, mask_to_grid, to_grid
from fpe_core.preprocessing.sequence import Scan, checked, ct_scan
from fpe_core.preprocessing.vessels import Head, check_own_vessels, find_vessels

OUTPUT_SEQUENCES = ("ncct", "cta")
_TISSUE_TOP_HU = {"ncct": 100.0, "cta": 200.0}
_REGISTRATION_TOP_HU = 80.0
_SMOOTHING_MM = 2.0


def run_ct(images: dict[str, Volume], recipe: PreprocessingRecipe, history: History) -> Output:
    """From scans as read to the grid.

    Args:
        images: ncct, cta, or both; NCCT is the reference where it is there. Beside a CTA a site's own mask of its
            vessels may lie, which takes the place of the automatic one. Each is taken out as soon as it is cropped, so
            that no thin scan is held twice.
        recipe: a CT recipe.
        history: filled on the way.

    Raises:
        CaseError: the reason why the case cannot be used.
    """
    present = [name for name in OUTPUT_SEQUENCES if name in images]
    if not present:
        raise CaseSequenceMissing(f"a CT case needs ncct or cta, got {sorted(images)}")
    own_mask = _own_vessels(images, history)
    scans = {name: ct_scan(checked(images.pop(name), name, history), name, recipe, history) for name in present}
    reference = present[0]
    brain, rough = ct_brain_image(scans[reference], reference, recipe, history)
    landed = land(brain, rough, reference, recipe, history)
    cavity = _up_to_the_skull(landed, scans[reference].working, recipe, history)
    transforms = {reference: landed.mni_from_native}
    for name in present[1:]:
        own, _ = ct_brain_image(scans[name], name, recipe, history)
        with history.step("register_rigid", name, seed=recipe.registration.seed):
            transforms[name] = landed.mni_from_native @ register_rigid(brain, own, recipe.registration)
    vessels = _vessels(scans, own_mask, landed, brain, transforms, recipe, history)
    unmasked = {name: _on_grid(scans.pop(name).raw, name, transforms[name], recipe, history) for name in present}
    volumes = {name: np.where(cavity.mask_zyx, image, np.float32(0)) for name, image in unmasked.items()}
    numbers = quality(cavity, brain, volumes, recipe)
    if vessels is not None:
        transforms["vessels"] = transforms["cta"]
        unmasked["vessels"] = to_grid(vessels, recipe.grid, transforms["cta"], outside=0.0)
        volumes["vessels"] = np.where(cavity.mask_zyx, unmasked["vessels"], np.float32(0))
        numbers["vessels_ml"] = float(vessels.data_xyz.sum()) * vessels.voxel_ml
    return Output(volumes, unmasked, cavity.mask_zyx, transforms, numbers)


def _own_vessels(images: dict[str, Volume], history: History) -> Volume | None:
    """The site's own mask on its CTA's voxels, taken out of `images`; None where there is none."""
    mask = images.pop("vessels", None)
    if mask is None:
        return None
    if "cta" not in images:
        raise CaseSequenceMissing("the mask of the vessels needs the CTA that it was drawn on")
    with history.step("check", "vessels"):
        check_own_vessels(mask, images["cta"])
    return reorient_to_ras(mask)


def _vessels(
    scans: dict[str, Scan],
    own_mask: Volume | None,
    landed: Landed,
    brain: Volume,
    transforms: dict[str, Matrix],
    recipe: PreprocessingRecipe,
    history: History,
) -> Volume | None:
    """Arteries in CTA mm, 1 or 0; None where the recipe has none or the case no CTA."""
    if recipe.vessels is None or "cta" not in scans:
        return None
    with history.step("vessels", "cta", drawn_by="site" if own_mask else "recipe"):
        if own_mask is not None:
            return own_mask
        head = Head(
            brain=brain.with_data(landed.brain_xyz.astype(np.float32)),
            brain_from_cta=inverted(landed.mni_from_native) @ transforms["cta"],
            mni_from_cta=transforms["cta"],
            ncct=scans["ncct"].raw if "ncct" in scans else None,
        )
        return find_vessels(scans["cta"].raw, head, recipe.vessels)


def _up_to_the_skull(landed: Landed, working: Volume, recipe: PreprocessingRecipe, history: History) -> Landed:
    """The same with its mask grown to the inner table. Its overlap stays that of the mask it was registered with."""
    with history.step("inner_table", landed.sequence):
        cavity = cranial_cavity(working, beyond_surface_mm(landed.brain_xyz, working.spacing_mm))
        mask = mask_to_grid(cavity, working, recipe.grid, landed.mni_from_native)
    return replace(landed, brain_xyz=cavity, mask_zyx=mask)


def ct_brain_image(scan: Scan, sequence: str, recipe: PreprocessingRecipe, history: History) -> tuple[Volume, Mask]:
    """The brain clipped to 0-80 HU and smoothed for registration, on the working voxels, and its mask."""
    with history.step("brain", sequence) as found:
        rough = ct_brain(scan.raw, recipe.working_spacing_mm, _TISSUE_TOP_HU[sequence])
        found["volume_ml"] = float(rough.sum()) * scan.working.voxel_ml
        tissue = np.clip(scan.working.data_xyz, 0, _REGISTRATION_TOP_HU)
        return brain_only(smoothed_inside(scan.working.with_data(tissue), rough, _SMOOTHING_MM), rough), rough


def smoothed_inside(volume: Volume, mask_xyz: Mask, sigma_mm: float) -> Volume:
    """Gaussian smoothing that takes its values from inside the mask only (normalised convolution)."""
    sigma_voxels = sigma_mm / volume.spacing_mm
    weight = mask_xyz.astype(np.float32)
    total = ndimage.gaussian_filter(volume.data_xyz * weight, sigma_voxels)
    return volume.with_data(total / np.maximum(ndimage.gaussian_filter(weight, sigma_voxels), 1e-6))


def _on_grid(scan: Volume, name: str, mni_from_native: Matrix, recipe: PreprocessingRecipe, history: History) -> Array:
    window = recipe.windows.ncct_hu if name == "ncct" else recipe.windows.cta_hu
    # One name for all stages: a thin CTA has hundreds of MiB, and each stage can do without those before.
    with history.step("window", name, low_hu=window[0], high_hu=window[1]):
        scan = clip_to_window(scan, window)
    with history.step("resample", name, interpolation="linear"):
        scan = low_passed(scan, recipe.grid)
        return interpolated(scan, recipe.grid, mni_from_native, outside=0.0)
