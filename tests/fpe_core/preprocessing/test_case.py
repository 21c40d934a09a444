"""Whole cases: they land where the template is, never mirrored, and come out the same twice."""

import json

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from fpe_core.config.recipe import recipe_named
from fpe_core.errors import CaseBrainMaskImplausible, CaseFileUnreadable, CaseRegistrationFailed, CaseSequenceMissing
from fpe_core.imaging.geometry import grid_affine_ras
from fpe_core.imaging.nifti import write_volume
from fpe_core.imaging.template import load_template
from fpe_core.imaging.volume import Volume
from fpe_core.preprocessing.case import CaseFiles, preprocess_case
from fpe_core.preprocessing.processed import ProcessedCase, is_intact
from fpe_core.preprocessing.qc import write_qc_picture

MR, CT = recipe_named("mnt-dl-mr-small"), recipe_named("mnt-dl-ct-small")
MARKER_RAS_MM = np.array([38.0, 5.0, 22.0])


def place(rotation_deg: float = 0.0, shift_mm=(0.0, 0.0, 0.0), scale: float = 1.0) -> np.ndarray:
    """MNI RAS+ mm to native RAS+ mm: turned about two axes, scaled, moved."""
    c, s = np.cos(np.radians(rotation_deg)), np.sin(np.radians(rotation_deg))
    about_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    matrix = np.eye(4)
    matrix[:3, :3] = scale * about_x @ about_z
    matrix[:3, 3] = shift_mm
    return matrix


def error_mm(mni_from_native: np.ndarray, native_from_mni: np.ndarray) -> float:
    """Mean distance by which the brain's points miss where they belong."""
    template = load_template(6)
    points = np.argwhere(template.brain_xyz) @ template.t1.affine_ras[:3, :3].T + template.t1.affine_ras[:3, 3]
    moved = np.c_[points, np.ones(len(points))] @ (mni_from_native @ native_from_mni).T
    return float(np.linalg.norm(moved[:, :3] - points, axis=1).mean())


def marker_mm(case: ProcessedCase, sequence: str) -> np.ndarray:
    """Centre of the brightest voxels in the upper half, away from the brain's rim, in MNI RAS+ mm."""
    deep = ndimage.binary_erosion(case.mask, np.ones((1, 3, 3)), iterations=5)
    deep[: len(deep) // 2] = False
    values = case.volumes[sequence][deep]
    z, h, w = np.argwhere(deep & (case.volumes[sequence] > np.percentile(values, 99.8))).mean(axis=0)
    return (case.affine_ras @ [w, h, z, 1])[:3]


@pytest.mark.parametrize("orientation", ["LAS", "RAS", "LPS"])
@pytest.mark.parametrize(("sequence", "recipe"), [("dwi", MR), ("ncct", CT)])
def test_a_marker_on_the_right_stays_on_the_right(scanner, tmp_path, sequence, recipe, orientation):
    path = scanner.save(tmp_path / "a.nii.gz", sequence, orientation=orientation, marker=True)
    case = preprocess_case(CaseFiles("a", {sequence: path}), recipe)
    np.testing.assert_allclose(marker_mm(case, sequence), MARKER_RAS_MM, atol=5)


@pytest.mark.parametrize("skull", [True, False])
def test_mr_registration_recovers_a_known_affine(scanner, tmp_path, skull):
    truth = place(12.0, (18.0, -22.0, 9.0), 0.95)
    images = {
        name: scanner.save(tmp_path / f"{name}.nii.gz", name, native_from_mni=truth, skull=skull, noise=0.05)
        for name in ("dwi", "adc", "flair")
    }
    case = preprocess_case(CaseFiles("a", images), MR)
    assert set(case.volumes) == {"dwi", "adc", "flair"}
    assert {name: error_mm(matrix, truth) < 2.5 for name, matrix in case.mni_from_native.items()} == dict.fromkeys(
        case.volumes, True
    )
    assert case.provenance.qc["template_dice"] > 0.93


@pytest.mark.parametrize("skull", [True, False])
def test_ct_registration_recovers_a_known_affine_and_a_moved_cta(scanner, tmp_path, skull):
    truth = place(-10.0, (-15.0, 20.0, 12.0), 1.05)
    moved = place(3.0, (60.0, 4.0, -30.0)) @ truth
    images = {
        "ncct": scanner.save(tmp_path / "n.nii.gz", "ncct", native_from_mni=truth, skull=skull, noise=0.1),
        "cta": scanner.save(tmp_path / "c.nii.gz", "cta", native_from_mni=moved, skull=skull, noise=0.1),
    }
    case = preprocess_case(CaseFiles("a", images), CT)
    assert error_mm(case.mni_from_native["ncct"], truth) < 2.5
    assert error_mm(case.mni_from_native["cta"], moved) < 3.0
    assert case.volumes["ncct"].min() >= 0
    assert case.volumes["ncct"].max() <= 1


def test_flair_moved_between_the_sequences_is_brought_back(scanner, tmp_path):
    motion = place(3.0, (2.0, -2.0, 3.0))
    images = {
        "dwi": scanner.save(tmp_path / "d.nii.gz", "dwi"),
        "flair": scanner.save(tmp_path / "f.nii.gz", "flair", native_from_mni=motion),
    }
    case = preprocess_case(CaseFiles("a", images), MR)
    assert error_mm(case.mni_from_native["flair"], motion) < 2.5


def test_adc_is_computed_where_only_b0_and_b1000_exist(scanner, tmp_path):
    b0, adc = scanner.acquire("b0", skull=False, noise=0.0), scanner.acquire("adc", skull=False, noise=0.0)
    write_volume(b0, tmp_path / "b0.nii.gz")
    write_volume(Volume(b0.data_xyz * np.exp(-adc.data_xyz), b0.affine_ras), tmp_path / "b1000.nii.gz")
    write_volume(adc, tmp_path / "adc.nii.gz")
    b_values = {name: tmp_path / f"{name}.nii.gz" for name in ("b0", "b1000")}
    computed = preprocess_case(CaseFiles("a", b_values), MR)
    given = preprocess_case(
        CaseFiles("a", {"dwi": tmp_path / "b1000.nii.gz", "adc": tmp_path / "adc.nii.gz", "b0": b_values["b0"]}), MR
    )
    assert set(computed.volumes) == {"dwi", "adc"}
    np.testing.assert_allclose(computed.volumes["adc"], given.volumes["adc"], atol=1e-3)


def test_the_output_has_the_documented_form(scanner, tmp_path):
    path = scanner.save(tmp_path / "a.nii.gz", "dwi")
    case = preprocess_case(CaseFiles("a", {"dwi": path, "ncct": tmp_path / "other.nii.gz"}), MR)
    assert case.volumes["dwi"].shape == case.mask.shape == MR.grid.shape_zyx
    assert case.volumes["dwi"].dtype == np.float32
    assert case.mask.dtype == np.uint8
    np.testing.assert_array_equal(case.affine_ras, grid_affine_ras(MR.grid))
    assert (case.volumes["dwi"][case.mask == 0] == 0).all()
    assert case.provenance.recipe_fingerprint == MR.fingerprint()
    assert set(case.provenance.inputs) == {"dwi"}
    text = case.provenance.model_dump_json()
    assert str(tmp_path) not in text


def test_the_same_files_give_the_same_bytes_and_the_file_is_read_back(scanner, tmp_path):
    files = CaseFiles("a", {"dwi": scanner.save(tmp_path / "a.nii.gz", "dwi")})
    first, second = preprocess_case(files, MR), preprocess_case(files, MR)
    assert first.to_bytes() == second.to_bytes()
    first.save(tmp_path / "case.safetensors")
    back = ProcessedCase.load(tmp_path / "case.safetensors")
    np.testing.assert_array_equal(back.volumes["dwi"], first.volumes["dwi"])
    np.testing.assert_array_equal(back.mni_from_native["dwi"], first.mni_from_native["dwi"])
    assert back.provenance == first.provenance
    assert json.loads(first.provenance.model_dump_json())["history"][0]["step"] == "read"
    assert back.to_bytes() == first.to_bytes()


def test_a_damaged_file_is_recognised(scanner, tmp_path):
    path = tmp_path / "case.safetensors"
    preprocess_case(CaseFiles("a", {"dwi": scanner.save(tmp_path / "a.nii.gz", "dwi")}), MR).save(path)
    assert is_intact(path)
    path.write_bytes(path.read_bytes()[:-100])
    assert not is_intact(path)
    with pytest.raises(CaseFileUnreadable):
        ProcessedCase.load(path)
    assert not is_intact(tmp_path / "none")


def test_cases_without_a_usable_sequence_are_refused(scanner, tmp_path):
    path = scanner.save(tmp_path / "a.nii.gz", "b0")
    with pytest.raises(CaseSequenceMissing):
        preprocess_case(CaseFiles("a", {"ncct": path}), MR)
    with pytest.raises(CaseSequenceMissing):
        preprocess_case(CaseFiles("a", {"b0": path}), MR)


def test_a_ball_is_no_brain(tmp_path):
    index = np.indices((64, 64, 40)) * np.array([4.0, 4.0, 5.0]).reshape(3, 1, 1, 1)
    distance = np.sqrt(((index - np.array([128.0, 128.0, 100.0]).reshape(3, 1, 1, 1)) ** 2).sum(axis=0))
    ball = Volume(np.where(distance < 40, 500, 0).astype(np.float32), np.diag([4.0, 4.0, 5.0, 1.0]))
    write_volume(ball, tmp_path / "ball.nii.gz")
    with pytest.raises((CaseBrainMaskImplausible, CaseRegistrationFailed)):
        preprocess_case(CaseFiles("a", {"dwi": tmp_path / "ball.nii.gz"}), MR)


def test_the_picture_shows_every_sequence_and_both_outlines(scanner, tmp_path):
    from PIL import Image

    images = {name: scanner.save(tmp_path / f"{name}.nii.gz", name) for name in ("dwi", "adc")}
    case = preprocess_case(CaseFiles("a", images), MR)
    write_qc_picture(case, tmp_path / "fresh.png")
    case.save(tmp_path / "case.safetensors")
    write_qc_picture(ProcessedCase.load(tmp_path / "case.safetensors"), tmp_path / "read.png")
    for name in ("fresh.png", "read.png"):
        pixels = np.asarray(Image.open(tmp_path / name))
        assert pixels.shape[0] > 3 * 140
        assert (pixels == (0, 220, 90)).all(axis=-1).sum() > 1000
        assert (pixels == (255, 120, 30)).all(axis=-1).sum() > 1000
    fresh, read = (np.asarray(Image.open(tmp_path / name)) for name in ("fresh.png", "read.png"))
    assert fresh[60:].astype(int).sum() > read[60:].astype(int).sum()


def test_a_4d_image_is_refused_by_the_pipeline(scanner, tmp_path):
    from fpe_core.errors import CaseNotVolume

    scan = scanner.acquire("dwi")
    nibabel.save(nibabel.Nifti1Image(np.stack([scan.data_xyz] * 2, -1), scan.affine_ras), tmp_path / "a.nii.gz")
    with pytest.raises(CaseNotVolume):
        preprocess_case(CaseFiles("a", {"dwi": tmp_path / "a.nii.gz"}), MR)
