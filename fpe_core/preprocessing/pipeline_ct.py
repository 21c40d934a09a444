"""CT: NCCT and CTA, or one of them."""

import numpy as np
from scipy import ndimage

from fpe_core.config.recipe import PreprocessingRecipe
from fpe_core.errors import CaseSequenceMissing
from fpe_core.imaging.volume import Array, Mask, Matrix, Volume
from fpe_core.preprocessing.brain_ct import ct_brain
from fpe_core.preprocessing.history import History
from fpe_core.preprocessing.intensities import clip_to_window
from fpe_core.preprocessing.pipeline import Output, land, quality
from fpe_core.preprocessing.registration import brain_only, register_rigid
from fpe_core.preprocessing.resample import interpolated, low_passed
from fpe_core.preprocessing.sequence import Scan, checked, ct_scan

OUTPUT_SEQUENCES = ("ncct", "cta")
_TISSUE_TOP_HU = {"ncct": 100.0, "cta": 200.0}
_REGISTRATION_TOP_HU = 80.0
_SMOOTHING_MM = 2.0


def run_ct(images: dict[str, Volume], recipe: PreprocessingRecipe, history: History) -> Output:
    """From scans as read to the grid.

    Args:
        images: ncct, cta, or both; NCCT is the reference where it is there. Each is taken out as soon as it is cropped,
            so that no thin scan is held twice.
        recipe: a CT recipe.
        history: filled on the way.

    Raises:
        CaseError: the reason why the case cannot be used.
    """
    present = [name for name in OUTPUT_SEQUENCES if name in images]
    if not present:
        raise CaseSequenceMissing(f"a CT case needs ncct or cta, got {sorted(images)}")
    scans = {name: ct_scan(checked(images.pop(name), name, history), name, recipe, history) for name in present}
    reference = present[0]
    brain, rough = ct_brain_image(scans[reference], reference, recipe, history)
    landed = land(brain, rough, reference, recipe, history)
    transforms = {reference: landed.mni_from_native}
    for name in present[1:]:
        own, _ = ct_brain_image(scans[name], name, recipe, history)
        with history.step("register_rigid", name, seed=recipe.registration.seed):
            transforms[name] = landed.mni_from_native @ register_rigid(brain, own, recipe.registration)
    unmasked = {name: _on_grid(scans.pop(name).raw, name, transforms[name], recipe, history) for name in present}
    volumes = {name: np.where(landed.mask_zyx, image, np.float32(0)) for name, image in unmasked.items()}
    return Output(volumes, unmasked, landed.mask_zyx, transforms, quality(landed, brain, volumes, recipe))


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
