"""Public clinical scans through every recipe. FPE_REAL_SCANS names their folder."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from fpe_core.config.recipe import recipe_named
from fpe_core.preprocessing.case import CaseFiles, preprocess_case

FOLDER = Path(os.environ.get("FPE_REAL_SCANS", ""))
pytestmark = [
    pytest.mark.real_scans,
    pytest.mark.skipif(not os.environ.get("FPE_REAL_SCANS"), reason="FPE_REAL_SCANS names no folder of scans"),
]


@pytest.mark.parametrize("name", ["mnt-dl-mr-small", "mnt-dl-mr"])
def test_a_stroke_mr_without_skull_and_flair(name):
    stem = "sub-strokecase0001_ses-0001_"
    images = {sequence: FOLDER / f"{stem}{sequence}.nii.gz" for sequence in ("dwi", "adc")}
    case = preprocess_case(CaseFiles("a", images), recipe_named(name))
    qc = case.provenance.qc
    assert set(case.volumes) == {"dwi", "adc"}
    assert qc["template_dice"] > 0.94
    assert 1100 < qc["mask_native_ml"] < 1350
    assert 4 < qc["rotation_deg"] < 12
    # The brightest spot of the upper native slices lies at x = −27 mm: a lesion in the left hemisphere.
    deep = ndimage.binary_erosion(case.mask, np.ones((1, 3, 3)), iterations=4)
    deep[:17] = False
    z, h, w = np.unravel_index(int(np.where(deep, case.volumes["dwi"], -9).argmax()), case.mask.shape)
    np.testing.assert_allclose((case.affine_ras @ [w, h, z, 1])[:3], [-29.5, -7, 38], atol=8)


@pytest.mark.parametrize("name", ["mnt-dl-ct-small", "mnt-dl-ct"])
def test_a_head_ct_with_skull(name):
    case = preprocess_case(CaseFiles("a", {"ncct": FOLDER / "head_ct_2mm.nii.gz"}), recipe_named(name))
    qc = case.provenance.qc
    assert qc["template_dice"] > 0.94
    assert 1150 < qc["mask_native_ml"] < 1450
    inside = case.volumes["ncct"][case.mask > 0] * 100
    assert 20 < np.median(inside) < 40
    assert (inside > 95).mean() < 0.02, "skull inside the mask"
