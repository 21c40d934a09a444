"""What a pipeline gives back, and the steps that CT and MR share at the end."""

from dataclasses import dataclass

import numpy as np

from fpe_core.config.recipe import PreprocessingRecipe
from fpe_core.imaging.template import Template, load_template
from fpe_core.imaging.volume import Array, Mask, Matrix, Volume
from fpe_core.preprocessing.history import History
from fpe_core.preprocessing.quality import (
    check_overlap,
    dice,
    grid_voxel_ml,
    mutual_information,
    rotation_deg,
    template_on,
)
from fpe_core.preprocessing.registration import register_to_template
from fpe_core.preprocessing.resample import mask_to_grid
from fpe_core.preprocessing.tight_mask import tight_mask


@dataclass(frozen=True, eq=False)
class Landed:
    """The reference sequence in MNI space.

    Attributes:
        mni_from_native: `(4, 4)` native RAS+ mm of the reference sequence to MNI RAS+ mm.
        brain_xyz: `(X, Y, Z)` bool, the tight mask on the reference's working voxels.
        mask_zyx: `(Z, H, W)` bool, the same on the grid.
        overlap: Dice coefficient of `mask_zyx` and the template's brain.
    """

    mni_from_native: Matrix
    brain_xyz: Mask
    mask_zyx: Mask
    overlap: float


@dataclass(frozen=True, eq=False)
class Output:
    """What a pipeline computes; the arrays are those of `ProcessedCase`."""

    volumes: dict[str, Array]
    unmasked: dict[str, Array]
    mask_zyx: Mask
    mni_from_native: dict[str, Matrix]
    qc: dict[str, float]


def land(brain: Volume, rough_xyz: Mask, sequence: str, recipe: PreprocessingRecipe, history: History) -> Landed:
    """Register a brain to the template, tighten its mask and bring the mask to the grid.

    Raises:
        CaseRegistrationFailed, CaseBrainMaskImplausible: see the steps.
    """
    settings = recipe.registration
    template = load_template(settings.spacing_mm)
    with history.step("register_to_template", sequence, seed=settings.seed, metric=settings.metric) as found:
        matrix = register_to_template(brain, settings)
        found["mni_from_native"] = [float(value) for value in matrix[:3].ravel()]
    with history.step("tight_mask", sequence):
        tight = tight_mask(rough_xyz, brain, template, matrix)
        mask = mask_to_grid(tight, brain, recipe.grid, matrix)
    overlap = dice(mask, _template_mask(recipe, template))
    check_overlap(overlap, settings.min_dice)
    return Landed(matrix, tight, mask, overlap)


def quality(
    landed: Landed, working: Volume, volumes: dict[str, Array], recipe: PreprocessingRecipe
) -> dict[str, float]:
    """Mask volumes in ml, overlap with the template, rotation and scale, similarity to the template per sequence."""
    t1, brain = template_on(recipe.grid, load_template(recipe.registration.spacing_mm))
    numbers = {
        "mask_native_ml": float(landed.brain_xyz.sum()) * working.voxel_ml,
        "mask_mni_ml": float(landed.mask_zyx.sum()) * grid_voxel_ml(recipe.grid),
        "template_dice": landed.overlap,
        "rotation_deg": rotation_deg(landed.mni_from_native),
        "volume_scale": float(np.linalg.det(landed.mni_from_native[:3, :3])),
    }
    both = landed.mask_zyx & brain
    return numbers | {f"similarity_{name}": mutual_information(v, t1, both) for name, v in volumes.items()}


def _template_mask(recipe: PreprocessingRecipe, template: Template) -> Mask:
    return template_on(recipe.grid, template)[1]
