"""MR: DWI, ADC and FLAIR, whichever the case has.

Order of the steps after the group's published pipeline: reorient, field of view, first brain extraction, N4, affine of
b0 (else DWI) to MNI152 by mutual information, the transform reused for co-acquired images, FLAIR rigidly to it with the
transforms multiplied, tighter mask, z-score inside it, histogram matching.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fpe_core.config.recipe import PreprocessingRecipe
from fpe_core.errors import CaseSequenceMissing
from fpe_core.imaging.geometry import inverted, reference_image, sitk_transform
from fpe_core.imaging.volume import Array, Mask, Matrix, Volume
from fpe_core.preprocessing.adc import adc_from_b_values, normalise_adc_unit
from fpe_core.preprocessing.bias import bias_on, fit_log_bias, without_bias
from fpe_core.preprocessing.brain_mr import mr_brain
from fpe_core.preprocessing.history import History
from fpe_core.preprocessing.intensities import match_histogram, reference_landmarks, z_score
from fpe_core.preprocessing.pipeline import Output, land, quality
from fpe_core.preprocessing.registration import brain_only, register_rigid
from fpe_core.preprocessing.resample import to_grid
from fpe_core.preprocessing.sequence import Scan, checked, mr_scan

OUTPUT_SEQUENCES = ("dwi", "adc", "flair")
_REFERENCE_ORDER = ("b0", "dwi", "flair", "adc")
_DIFFUSION = frozenset({"b0", "dwi", "adc"})
_SAME_PLACE_MM = 1e-2


@dataclass(frozen=True, eq=False)
class MrBrain:
    """Working resolution: the brain without its bias, its mask `(X, Y, Z)` bool, the log of the bias (ITK image)."""

    image: Volume
    mask_xyz: Mask
    log_bias: Any | None


def run_mr(images: dict[str, Volume], recipe: PreprocessingRecipe, history: History) -> Output:
    """From scans as read to the grid.

    Args:
        images: among dwi, adc, flair, b0, b1000; at least one of the first three, or b1000, must be there. b0 is the
            reference where it is there.
        recipe: an MR recipe.
        history: filled on the way.

    Raises:
        CaseError: the reason why the case cannot be used.
    """
    ready = _diffusion({name: checked(image, name, history) for name, image in images.items()}, history)
    outputs = [name for name in OUTPUT_SEQUENCES if name in ready]
    if not outputs:
        raise CaseSequenceMissing(f"an MR case needs one of dwi, flair, adc or b1000, got {sorted(images)}")
    reference = next(name for name in _REFERENCE_ORDER if name in ready)
    scan = mr_scan(ready[reference], reference, recipe, history)
    brain = mr_brain_image(scan, reference, recipe, history)
    landed = land(brain.image, brain.mask_xyz, reference, recipe, history)
    transforms: dict[str, Matrix] = {reference: landed.mni_from_native}
    volumes: dict[str, Array] = {}
    unmasked: dict[str, Array] = {}
    for name in outputs:
        raw, place, field = scan.raw, landed.mni_from_native, brain.log_bias
        if name != reference:
            raw, place, field = _other(ready, name, transforms, brain.image, recipe, history)
        transforms[name] = place
        unmasked[name] = _on_grid(raw, name, field, place, recipe, history)
        volumes[name] = _normalised(unmasked[name], name, landed.mask_zyx, recipe, history)
    unseen = None
    if reference not in volumes:
        unseen = _on_grid(scan.raw, reference, brain.log_bias, landed.mni_from_native, recipe, history)
    qc = quality(landed, brain.image, volumes, recipe, unseen)
    return Output(volumes, unmasked, landed.mask_zyx, {name: transforms[name] for name in outputs}, qc)


def _diffusion(images: dict[str, Volume], history: History) -> dict[str, Volume]:
    """The output sequences among `images`, and b0: b1000 is the DWI where there is no other, and ADC is computed or in
    unit.
    """
    ready = {name: image for name, image in images.items() if name in (*OUTPUT_SEQUENCES, "b0")}
    if "dwi" not in ready and "b1000" in images:
        ready["dwi"] = images["b1000"]
    if "adc" in ready:
        with history.step("adc_unit", "adc") as found:
            ready["adc"], found["factor"] = normalise_adc_unit(ready["adc"])
    elif "b0" in images and "dwi" in ready:
        with history.step("adc_from_b_values", "adc", b_value_s_per_mm2=1000.0):
            ready["adc"] = adc_from_b_values(images["b0"], images.get("b1000", ready["dwi"]))
    return ready


def mr_brain_image(scan: Scan, sequence: str, recipe: PreprocessingRecipe, history: History) -> MrBrain:
    """First brain extraction, then N4 inside it; ADC, a ratio of two images, has no bias to take out."""
    with history.step("brain", sequence) as found:
        rough = mr_brain(scan.working)
        found["volume_ml"] = float(rough.sum()) * scan.working.voxel_ml
    if sequence == "adc":
        return MrBrain(brain_only(scan.working, rough), rough, None)
    with history.step("n4", sequence, shrink_factor=recipe.n4.shrink_factor):
        log_bias = fit_log_bias(scan.working, rough, recipe.n4)
        return MrBrain(brain_only(without_bias(scan.working, log_bias), rough), rough, log_bias)


def _other(
    ready: dict[str, Volume],
    name: str,
    transforms: dict[str, Matrix],
    reference: Volume,
    recipe: PreprocessingRecipe,
    history: History,
) -> tuple[Volume, Matrix, Any | None]:
    """Raw image, place and bias field of a sequence that is not the reference.

    Args:
        ready: all sequences.
        name: of this one.
        transforms: `(4, 4)` native RAS+ mm to MNI RAS+ mm of those that have a place already, the reference first.
        reference: its brain, see `MrBrain`.
        recipe, history: see `run_mr`.
    """
    twin = next((other for other in transforms if _co_acquired(ready, name, other)), None)
    if name == "adc" and twin is not None:
        return ready[name], transforms[twin], None
    scan = mr_scan(ready[name], name, recipe, history)
    own = mr_brain_image(scan, name, recipe, history)
    if twin is not None:
        return scan.raw, transforms[twin], own.log_bias
    with history.step("register_rigid", name, seed=recipe.registration.seed):
        moved = register_rigid(reference, own.image, recipe.registration)
    return scan.raw, next(iter(transforms.values())) @ moved, own.log_bias


def _co_acquired(ready: dict[str, Volume], name: str, other: str) -> bool:
    """Whether two diffusion images share one voxel grid: then one transform holds for both."""
    first, second = ready[name], ready[other]
    return (
        {name, other} <= _DIFFUSION
        and first.data_xyz.shape == second.data_xyz.shape
        and np.allclose(first.affine_ras, second.affine_ras, atol=_SAME_PLACE_MM)
    )


def _on_grid(
    raw: Volume,
    name: str,
    log_bias: Any | None,
    mni_from_native: Matrix,
    recipe: PreprocessingRecipe,
    history: History,
) -> Array:
    with history.step("resample", name, interpolation="linear"):
        data = to_grid(raw, recipe.grid, mni_from_native, outside=0.0)
        if log_bias is None:
            return data
        native_from_mni = sitk_transform(inverted(mni_from_native))
        return data / bias_on(log_bias, reference_image(recipe.grid), native_from_mni)


def _normalised(data: Array, name: str, mask_zyx: Mask, recipe: PreprocessingRecipe, history: History) -> Array:
    with history.step("z_score", name) as found:
        scored, found["mean"], found["deviation"] = z_score(data, mask_zyx)
    reference = reference_landmarks(recipe.mr_intensities, name)
    if reference is None:
        return scored
    with history.step("match_histogram", name):
        return match_histogram(scored, mask_zyx, recipe.mr_intensities.landmark_percentiles, reference)
