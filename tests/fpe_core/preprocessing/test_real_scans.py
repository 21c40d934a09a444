"""Public clinical scans through every recipe. FPE_REAL_SCANS names their folder."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from fpe_core.config.recipe import recipe_named
from fpe_core.imaging.nifti import read_volume
from fpe_core.preprocessing.case import CaseFiles, preprocess_case
from fpe_core.preprocessing.native_mask import native_brain_mask
from fpe_core.preprocessing.quality import dice

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


def test_the_native_mask_of_a_head_ct_fills_the_skull():
    scan = read_volume(FOLDER / "head_ct_2mm.nii.gz")
    recipe = recipe_named("mnt-dl-ct")
    narrow, wide = (native_brain_mask(scan, "ncct", recipe, margin_mm=margin) for margin in (0.0, 1.0))
    assert dice(narrow, enclosed_by_bone(scan.data_xyz)) > 0.95
    assert (scan.data_xyz[narrow] > 500).mean() < 0.01
    assert wide[narrow].all()
    assert dice(narrow, wide) > 0.95


def enclosed_by_bone(hu: np.ndarray) -> np.ndarray:
    """The cranial cavity by other means: soft tissue from which a straight way along the axes meets bone in at least
    five of six directions, without the thin bridges to orbits and nose. No registration, no template."""
    bone = hu > 500
    met = np.zeros(hu.shape, int)
    for axis in range(3):
        met += np.maximum.accumulate(bone, axis=axis)
        met += np.flip(np.maximum.accumulate(np.flip(bone, axis), axis=axis), axis)
    candidate = (met >= 5) & ~bone & (hu > -30) & (hu != 0)
    labels, _ = ndimage.label(ndimage.binary_erosion(candidate, iterations=3))
    core = labels == np.bincount(labels[labels > 0]).argmax()
    return ndimage.binary_fill_holes(ndimage.binary_dilation(core, iterations=3) & candidate)
