"""Reading and writing NIfTI, the content hash, and the template."""

import gzip
import hashlib

import nibabel
import numpy as np
import pytest

from fpe_core.errors import CaseFileMissing, CaseFileUnreadable, CaseNotVolume, DataError
from fpe_core.imaging import template as template_module
from fpe_core.imaging.content import file_sha256
from fpe_core.imaging.nifti import read_volume, write_volume
from fpe_core.imaging.template import load_template, template_path
from fpe_core.imaging.volume import Volume


@pytest.fixture
def volume() -> Volume:
    affine = np.diag([-2.0, 2.0, 3.0, 1.0])
    affine[:3, 3] = (5, -6, 7)
    return Volume(np.random.default_rng(0).random((6, 7, 8)).astype(np.float32), affine)


def test_what_was_written_is_read(tmp_path, volume):
    write_volume(volume, tmp_path / "a.nii.gz")
    back = read_volume(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(back.data_xyz, volume.data_xyz)
    np.testing.assert_allclose(back.affine_ras, volume.affine_ras, atol=1e-6)
    assert back.voxel_ml == pytest.approx(0.012)
    np.testing.assert_allclose(back.extent_mm, [12, 14, 24])


def test_a_fourth_axis_of_length_one_is_dropped(tmp_path, volume):
    nibabel.save(nibabel.Nifti1Image(volume.data_xyz[..., None], volume.affine_ras), tmp_path / "a.nii")
    assert read_volume(tmp_path / "a.nii").data_xyz.shape == (6, 7, 8)


@pytest.mark.parametrize("shape", [(6, 7), (6, 7, 8, 2)])
def test_other_numbers_of_axes_are_refused(tmp_path, shape):
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.float32), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(CaseNotVolume):
        read_volume(tmp_path / "a.nii")


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(CaseFileMissing):
        read_volume(tmp_path / "none.nii.gz")
    with pytest.raises(CaseFileMissing):
        file_sha256(tmp_path / "none.nii.gz")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98])
def test_a_truncated_file_is_unreadable(tmp_path, volume, share):
    path = tmp_path / "a.nii.gz"
    write_volume(volume, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CaseFileUnreadable):
        read_volume(path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.txt"])
def test_what_is_no_image_is_unreadable(tmp_path, name):
    content = b"not an image at all, but long enough to hold a header " * 20
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(CaseFileUnreadable):
        read_volume(tmp_path / name)


def test_the_hash_is_that_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_the_template_is_a_brain_in_mni_space():
    template = load_template(4)
    volume_ml = template.brain_xyz.sum() * template.t1.voxel_ml
    assert 1700 < volume_ml < 2200
    centre = template.t1.affine_ras @ np.array([*np.argwhere(template.brain_xyz).mean(axis=0), 1])
    np.testing.assert_allclose(centre[:3], [0, -20, 5], atol=6)
    assert template.t1.data_xyz.max() <= 1.0


def test_another_template_is_refused(monkeypatch, tmp_path):
    other = tmp_path / "t1.nii.gz"
    other.write_bytes(template_path().read_bytes() + b"\0")
    monkeypatch.setattr(template_module, "template_path", lambda: other)
    with pytest.raises(DataError, match="not the one"):
        template_module._full_resolution.__wrapped__()
