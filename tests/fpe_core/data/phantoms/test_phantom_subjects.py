from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fpe_core.data.phantoms.joint import draw_joint_latents
from fpe_core.data.phantoms.subjects import FleetScanner, Subject, render_subject

nib: Any = nibabel
CELLS = {"age_years": 70, "occlusion_side": "left", "occlusion_site": "m1", "onset_to_image_min": 120}


def subject(**fields: Any) -> Subject:
    drawn = draw_joint_latents(1, atrial_fibrillation=0.3, dyslipidaemia=0.4, rng=np.random.default_rng(1))
    latents = {name: float(values[0]) for name, values in drawn.items()}
    scanner = FleetScanner(
        name="test", share=1, spacing_mm=1.2, thickness_mm=3.0, cta_thickness_mm=2.0, noise_hu=0.0, rotation_deg=0,
        off_centre_mm=0,
    )  # fmt: skip
    return Subject("c-1", 7, "ct", scanner, latents, CELLS, **fields)


def volume(folder: Path, name: str) -> np.ndarray:
    return np.asarray(nib.load(folder / f"c-1_{name}.nii.gz").get_fdata())


def test_a_stenosis_is_rendered_though_no_task_is_named(tmp_path: Path) -> None:
    scans = []
    for value in (-2.0, 2.0):
        one = subject()
        render_subject(tmp_path, replace(one, latents={**one.latents, "stenosis": value}))
        scans.append((volume(tmp_path, "ncct"), volume(tmp_path, "cta")))
    (plain, plain_lumen), (calcified, narrow_lumen) = scans
    assert (calcified - plain).max() > 60
    assert (plain_lumen - narrow_lumen).max() > 60
    assert np.count_nonzero(calcified != plain) < 200


def test_a_patient_without_an_occlusion_has_contrast_on_both_sides(tmp_path: Path) -> None:
    scans = []
    for occluded in (True, False):
        one = subject(occluded=occluded)
        render_subject(tmp_path, replace(one, latents={**one.latents, "collaterals": -2.5, "clot_length": 2.0}))
        scans.append(volume(tmp_path, "cta"))
    assert np.count_nonzero(scans[1] - scans[0] > 100) > 100
    assert np.count_nonzero(scans[1] - scans[0] < -100) == 0


def test_flair_has_its_own_voxels(tmp_path: Path) -> None:
    one = subject()
    scanner = one.scanner.model_copy(update={"spacing_mm": 2.0, "flair_spacing_mm": 3.0})
    render_subject(tmp_path, replace(one, modality="mr", scanner=scanner))
    zooms = {name: nib.load(tmp_path / f"c-1_{name}.nii.gz").header.get_zooms()[0] for name in ("dwi", "adc", "flair")}
    assert zooms == {"dwi": pytest.approx(2.0), "adc": pytest.approx(2.0), "flair": pytest.approx(3.0)}


def test_a_placeholder_is_a_file_that_is_no_scan_and_no_two_are_alike(tmp_path: Path) -> None:
    render_subject(tmp_path, subject(picture="placeholder"))
    assert volume(tmp_path, "ncct").size < 1000
    files = [(tmp_path / f"c-1_{name}.nii.gz").read_bytes() for name in ("ncct", "cta")]
    assert files[0] != files[1]
