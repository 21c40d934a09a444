"""The picture of a case: of any grid and any set of sequences, marked with what the gate says."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fpe_core.config.recipe import Grid
from fpe_core.imaging.geometry import grid_affine_ras
from fpe_core.imaging.template import load_template
from fpe_core.preprocessing.processed import ProcessedCase, Provenance
from fpe_core.preprocessing.qc import write_qc_picture
from fpe_core.preprocessing.quality import template_on

WHOLE = Grid(shape_zyx=(13, 32, 32), spacing_zyx_mm=(12.0, 7.0, 7.0))
PART = Grid(shape_zyx=(20, 30, 24), spacing_zyx_mm=(4.0, 4.0, 4.0), centre_ras_mm=(0.0, -10.0, 20.0))
GREEN, ORANGE = (0, 220, 90), (255, 120, 30)


def case_on(grid: Grid, qc: dict[str, float], names: tuple[str, ...] = ("ncct", "cta", "vessels")) -> ProcessedCase:
    t1, brain = template_on(grid, load_template(3))
    volumes = {name: np.where(brain, t1, np.float32(0)) for name in names}
    if "vessels" in volumes:
        volumes["vessels"] = np.zeros_like(t1)
        volumes["vessels"][grid.shape_zyx[0] // 2, 15, 12] = 1
    provenance = Provenance(recipe="r", recipe_fingerprint="", inputs={}, versions={}, history=(), qc=qc)
    return ProcessedCase(volumes, brain.astype(np.uint8), grid_affine_ras(grid), {}, provenance)


def drawn(case: ProcessedCase, folder: Path) -> np.ndarray:
    write_qc_picture(case, folder / "a.png")
    return np.asarray(Image.open(folder / "a.png").convert("RGB"))


@pytest.mark.parametrize("grid", [WHOLE, PART])
def test_every_sequence_has_a_row_on_any_grid(tmp_path, grid):
    picture = drawn(case_on(grid, {"template_dice": 0.95}), tmp_path)
    assert picture.shape == (58 + 4 * 150, 8 * 150, 3)
    rows = picture[58:].reshape(4, 150, 8 * 150, 3)
    assert all(np.ptp(row.astype(int)) > 100 for row in rows)


def test_the_end_of_a_grid_that_covers_a_part_of_the_brain_is_no_outline(tmp_path):
    picture = drawn(case_on(PART, {}), tmp_path)
    # The third axial tile, of 24 × 30 voxels, ends 15 pixels from the tile's sides and in the midst of the brain.
    tile = picture[58 : 58 + 150, 300:450]
    for colour in (GREEN, ORANGE):
        assert (tile[60:90, 14:17] == colour).all(axis=-1).mean() < 0.2


def test_the_verdict_colours_the_second_line(tmp_path):
    lines = {
        name: {tuple(pixel) for pixel in drawn(case_on(WHOLE, qc), tmp_path)[22:38].reshape(-1, 3)}
        for name, qc in {
            "pass": {"template_dice": 0.95},
            "review": {"template_dice": 0.88},
            "fail": {"template_dice": 0.5, "vessel_hu_ncct": 200.0},
        }.items()
    }
    assert (150, 230, 180) in lines["pass"]
    assert (255, 200, 90) in lines["review"]
    assert (255, 130, 110) in lines["fail"]
    assert not {(255, 200, 90), (255, 130, 110)} & lines["pass"]
