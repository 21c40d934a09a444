"""b0 and b1000 from a series in one file."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fpe_core.data.layouts.diffusion import read_b_values, split_series
from fpe_core.errors import CaseError, CaseHeaderIncomplete, CaseNotVolume
from fpe_core.imaging.nifti import read_volume

nib: Any = nibabel
SHEARED = np.array([[2.0, 0, 0, -10], [0, 2.0, 1.5, -20], [0, 0, 5.0, 3], [0, 0, 0, 1]])


def write(path: Path, values: list[float], shape: tuple[int, ...] = (3, 4, 5)) -> Path:
    data = np.stack([np.full(shape, value, np.float32) for value in values], axis=-1)
    image = nib.Nifti1Image(data, SHEARED)
    image.set_sform(SHEARED, 1)
    nib.save(image, path)
    return path


def test_b0_is_the_mean_and_b1000_the_geometric_mean(tmp_path: Path) -> None:
    series = write(tmp_path / "dwi.nii.gz", [100, 110, 8, 27, 1, 500])
    paths = split_series(series, (0, 5, 1000, 995, 1005, 2500), tmp_path, "x")
    assert {name: path.name for name, path in paths.items()} == {"b0": "x_b0.nii.gz", "b1000": "x_b1000.nii.gz"}
    b0, b1000 = (read_volume(paths[name]) for name in ("b0", "b1000"))
    np.testing.assert_allclose(b0.data_xyz, 105)
    np.testing.assert_allclose(b1000.data_xyz, 6, rtol=1e-6)
    np.testing.assert_allclose(b1000.affine_ras, SHEARED)


def test_three_orthogonal_directions_give_the_trace_image(tmp_path: Path) -> None:
    """S = S0 exp(-b D) along each axis: the trace image decays by the mean of the three."""
    diffusivities, b = np.array([0.5e-3, 0.9e-3, 1.6e-3]), 1000
    series = write(tmp_path / "dwi.nii.gz", [400.0, *(400 * np.exp(-b * diffusivities))])
    b1000 = read_volume(split_series(series, (0, b, b, b), tmp_path, "x")["b1000"])
    np.testing.assert_allclose(b1000.data_xyz, 400 * np.exp(-b * diffusivities.mean()), rtol=1e-5)


def test_a_voxel_without_signal_in_one_direction_has_none(tmp_path: Path) -> None:
    paths = split_series(write(tmp_path / "dwi.nii.gz", [9, 0, -3]), (1000, 1000, 1000), tmp_path, "x")
    assert set(paths) == {"b1000"}
    assert not read_volume(paths["b1000"]).data_xyz.any()


def test_a_series_that_does_not_fit_its_b_values_is_refused(tmp_path: Path) -> None:
    series = write(tmp_path / "dwi.nii.gz", [1, 2, 3])
    for b_values, message in (((0.0, 1000.0), "another number"), ((500.0, 600.0, 700.0), "no volume has b = 0")):
        with pytest.raises(CaseNotVolume, match=message):
            split_series(series, b_values, tmp_path, "x")


@pytest.mark.parametrize("content", ["", "0 x", "0 -5", "0 nan", "0 inf", "0,1000"])
def test_b_values_that_are_none_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "dwi.bval").write_text(content)
    with pytest.raises(CaseHeaderIncomplete, match="b-values"):
        read_b_values(tmp_path / "dwi.bval")


def test_wherever_a_series_is_cut_it_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    nib.save(nib.Nifti1Image(rng.normal(size=(6, 6, 6, 3)).astype(np.float32), SHEARED), tmp_path / "whole.nii.gz")
    content = (tmp_path / "whole.nii.gz").read_bytes()
    for length in range(0, len(content) - 8, len(content) // 12):
        (tmp_path / "cut.nii.gz").write_bytes(content[:length])
        with pytest.raises(CaseError):
            split_series(tmp_path / "cut.nii.gz", (0, 1000, 1000), tmp_path, "x")
    assert not (tmp_path / "x_b0.nii.gz").exists()
