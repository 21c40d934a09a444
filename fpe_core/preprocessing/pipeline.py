"""What a pipeline gives back, and the steps that CT and MR share at the end."""

from dataclasses import dataclass

import numpy as np

from fpe_core.config.recipe import Grid, PreprocessingRecipe
from fpe_core.imaging.template import load_template
from fpe_core.imaging.volume import Array, Mask, Matrix, Volume
from fpe_core.preprocessing.history import History
from fpe_core.preprocessing.quality import (
    check_overlap,
    grid_voxel_ml,
    mutual_information,
    overlap_with_template,
    rotation_deg,
    scales,
    shift_mm,
    template_on,
)
from fpe_core.preprocessing.registration import register_to_template
from fpe_core.preprocessing.resample import mask_to_grid
from fpe_core.preprocessing.tight_mask import tight_mask

_BRIGHT_CSF = frozenset({"b0", "adc"})


@dataclass(frozen=True, eq=False)
class Landed:
    """The reference sequence in MNI space.

    Attributes:
        sequence: its name.
        mni_from_native: `(4, 4)` native RAS+ mm of the reference sequence to MNI RAS+ mm.
        brain_xyz: `(X, Y, Z)` bool, the tight mask on the reference's working voxels.
        mask_zyx: `(Z, H, W)` bool, the same on the grid.
        overlap: Dice coefficient of the tight mask and the template's brain, on the template's voxels.
    """

    sequence: str
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
        matrix = register_to_template(brain, settings, bright_csf=sequence in _BRIGHT_CSF)
        found["mni_from_native"] = [float(value) for value in matrix[:3].ravel()]
    with history.step("tight_mask", sequence):
        tight = tight_mask(rough_xyz, brain, template, matrix)
        mask = mask_to_grid(tight, brain, recipe.grid, matrix)
    overlap = overlap_with_template(tight, brain, template, matrix)
    check_overlap(overlap, settings.min_dice)
    return Landed(sequence, matrix, tight, mask, overlap)


def quality(
    landed: Landed,
    working: Volume,
    volumes: dict[str, Array],
    recipe: PreprocessingRecipe,
    reference: Array | None = None,
) -> dict[str, float]:
    """The numbers by which a case is judged.

    Args:
        landed: the reference sequence.
        working: gives the size of its working voxels.
        volumes: `(Z, H, W)` per sequence on the grid.
        recipe: gives the grid.
        reference: `(Z, H, W)` the reference sequence on the grid, where it is not among `volumes`.

    Returns:
        mask_native_ml, mask_mni_ml (the part inside the grid), template_dice, rotation_deg, shift_mm, volume_scale,
        scale_min and scale_max; per sequence similarity_NAME to the template and, for those that are not the reference,
        similarity_to_reference_NAME, both as mutual information in nats inside the mask.
    """
    t1, brain = template_on(recipe.grid, load_template(recipe.registration.spacing_mm))
    matrix = landed.mni_from_native
    stretch = scales(matrix)
    numbers = {
        "mask_native_ml": float(landed.brain_xyz.sum()) * working.voxel_ml,
        "mask_mni_ml": float(landed.mask_zyx.sum()) * grid_voxel_ml(recipe.grid),
        "template_dice": landed.overlap,
        "rotation_deg": rotation_deg(matrix),
        "shift_mm": shift_mm(matrix, Grid().centre_ras_mm),
        "volume_scale": float(np.linalg.det(matrix[:3, :3])),
        "scale_min": float(stretch.min()),
        "scale_max": float(stretch.max()),
    }
    both = landed.mask_zyx & brain
    numbers |= {f"similarity_{name}": mutual_information(v, t1, both) for name, v in volumes.items()}
    first = volumes[landed.sequence] if reference is None else reference
    return numbers | {
        f"similarity_to_reference_{name}": mutual_information(v, first, landed.mask_zyx)
        for name, v in volumes.items()
        if name != landed.sequence
    }
