"""One sequence on its way through a pipeline: as acquired, and coarse for everything that only estimates."""

from dataclasses import dataclass

from fpe_core.config.recipe import PreprocessingRecipe
from fpe_core.imaging.geometry import block_factors, block_mean, reorient_to_ras, shear_deg, straightened
from fpe_core.imaging.volume import Volume
from fpe_core.preprocessing.check import check_volume
from fpe_core.preprocessing.field_of_view import AIR_HU, crop_to_head, ct_head_mask, mr_head_mask, outside_to_air
from fpe_core.preprocessing.history import History


@dataclass(frozen=True, eq=False)
class Scan:
    """Attributes:
    raw: full resolution, RAS+ axis order, cropped to the head.
    working: `raw` averaged to the recipe's working spacing; of a CT with a tilted gantry also brought to axes at right
        angles. Everything that is estimated is estimated on it; only `raw` is interpolated to the grid.
    """

    raw: Volume
    working: Volume


def checked(volume: Volume, sequence: str, history: History) -> Volume:
    """Check, then reorient to RAS+. Errors as in `check_volume`."""
    with history.step("check", sequence):
        check_volume(volume, sequence)
    with history.step("reorient", sequence):
        return reorient_to_ras(volume)


def mr_scan(volume: Volume, sequence: str, recipe: PreprocessingRecipe, history: History) -> Scan:
    """Cut off the neck and the air around."""
    with history.step("field_of_view", sequence, height_mm=recipe.field_of_view_mm):
        raw, _ = crop_to_head(volume, mr_head_mask(volume), recipe.field_of_view_mm)
        return Scan(raw, block_mean(raw, block_factors(raw, recipe.working_spacing_mm)))


def ct_scan(volume: Volume, sequence: str, recipe: PreprocessingRecipe, history: History) -> Scan:
    """Cut off the neck and the air around, then remove table and head holder."""
    with history.step("field_of_view", sequence, height_mm=recipe.field_of_view_mm):
        box, head = crop_to_head(volume, ct_head_mask(volume), recipe.field_of_view_mm)
    # The whole scan is not needed any more, and a thin CTA has hundreds of MiB.
    del volume
    with history.step("table", sequence):
        raw = outside_to_air(box, head)
    with history.step("straighten", sequence) as found:
        found["shear_deg"] = round(shear_deg(raw.affine_ras), 2)
        working = block_mean(raw, block_factors(raw, recipe.working_spacing_mm))
        return Scan(raw, straightened(working, outside=AIR_HU))
