"""Orientation and grids: voxels move, places do not."""

import numpy as np
import pytest

from fpe_core.config.recipe import Grid
from fpe_core.imaging.geometry import (
    block_factors,
    block_mean,
    crop,
    grid_affine_ras,
    inverted,
    matrix_from_itk,
    reference_image,
    reorient_to_ras,
    sitk_transform,
    spans_axes,
    to_sitk,
    zyx_from_xyz,
)
from fpe_core.imaging.itk import sitk
from fpe_core.imaging.volume import Volume


def volume(axes: str, shape=(4, 5, 6)) -> Volume:
    """Random voxels of 1 × 2 × 3 mm whose array axes run along `axes`, for example LPS or SAL."""
    linear = np.zeros((4, 4))
    for column, (code, size_mm) in enumerate(zip(axes, (1.0, 2.0, 3.0), strict=True)):
        row = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}[code]
        linear[row, column] = size_mm if code in "RAS" else -size_mm
    linear[:, 3] = (10.0, -20.0, 30.0, 1.0)
    return Volume(np.random.default_rng(1).random(shape).astype(np.float32), linear)


def place_of_brightest(image: Volume) -> np.ndarray:
    index = np.unravel_index(int(image.data_xyz.argmax()), image.data_xyz.shape)
    return (image.affine_ras @ [*index, 1])[:3]


@pytest.mark.parametrize("axes", ["RAS", "LAS", "LPS", "RPI", "SAL", "PIR", "ASL"])
def test_reorienting_keeps_every_voxel_where_it_is_and_points_the_axes_to_ras(axes):
    before = volume(axes)
    after = reorient_to_ras(before)
    np.testing.assert_allclose(place_of_brightest(after), place_of_brightest(before))
    np.testing.assert_allclose(after.affine_ras[:3, :3], np.diag(after.spacing_mm))
    assert sorted(after.data_xyz.ravel()) == sorted(before.data_xyz.ravel())


def test_a_crop_keeps_places():
    before = volume("LPS")
    after = crop(before, (1, 2, 0), (4, 5, 6))
    assert after.data_xyz.shape == (3, 3, 6)
    np.testing.assert_allclose((after.affine_ras @ [0, 0, 0, 1])[:3], (before.affine_ras @ [1, 2, 0, 1])[:3])
    assert after.data_xyz[0, 0, 0] == before.data_xyz[1, 2, 0]


def test_block_mean_puts_each_mean_at_the_middle_of_its_block():
    before = volume("RAS")
    after = block_mean(before, (2, 1, 3))
    assert after.data_xyz.shape == (2, 5, 2)
    assert after.data_xyz[1, 2, 1] == pytest.approx(before.data_xyz[2:4, 2, 3:6].mean())
    np.testing.assert_allclose((after.affine_ras @ [1, 2, 1, 1])[:3], (before.affine_ras @ [2.5, 2, 4, 1])[:3])


def test_block_factors_leave_thick_axes_alone():
    assert block_factors(volume("RAS"), 3.0) == (3, 2, 1)


def test_the_grid_runs_from_foot_front_and_right():
    affine = grid_affine_ras(Grid(shape_zyx=(3, 5, 7), spacing_zyx_mm=(6.0, 2.0, 1.0), centre_ras_mm=(1.0, 2.0, 3.0)))
    np.testing.assert_allclose(affine @ [3, 2, 1, 1], [1, 2, 3, 1])
    right, anterior, foot = (affine @ [0, 0, 0, 1])[:3]
    assert (right, anterior, foot) == (4.0, 6.0, -3.0)


def test_the_reference_image_has_the_grid_s_shape_and_place():
    grid = Grid(shape_zyx=(3, 5, 7), spacing_zyx_mm=(6.0, 2.0, 1.0))
    image = reference_image(grid)
    assert sitk.GetArrayViewFromImage(image).shape == (3, 5, 7)
    lps = np.array(image.TransformIndexToPhysicalPoint((6, 4, 2)))
    np.testing.assert_allclose(lps * [-1, -1, 1], (grid_affine_ras(grid) @ [6, 4, 2, 1])[:3])


def test_sitk_sees_a_volume_where_nibabel_does():
    before = volume("LPS")
    lps = np.array(to_sitk(before).TransformIndexToPhysicalPoint((3, 1, 2)))
    np.testing.assert_allclose(lps * [-1, -1, 1], (before.affine_ras @ [3, 1, 2, 1])[:3])


def test_a_matrix_survives_the_way_to_itk_and_back():
    matrix = np.eye(4)
    matrix[:3] = np.random.default_rng(3).normal(size=(3, 4))
    transform = sitk_transform(matrix)
    back = matrix_from_itk(np.array(transform.GetParameters()), np.array(transform.GetFixedParameters()))
    np.testing.assert_allclose(back, matrix, atol=1e-12)
    np.testing.assert_allclose(inverted(matrix) @ matrix, np.eye(4), atol=1e-9)


def test_a_centre_of_rotation_is_part_of_the_matrix():
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    matrix = matrix_from_itk(np.concatenate([quarter.ravel(), [0, 0, 0]]), np.array([10.0, 0, 0]))
    np.testing.assert_allclose(matrix @ [-10, 0, 0, 1], [-10, 0, 0, 1], atol=1e-12)


def test_zyx_is_a_transposition():
    data = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert zyx_from_xyz(data)[3, 2, 1] == data[1, 2, 3]


def test_flat_or_sheared_affines_are_recognised():
    good = volume("LPS")
    assert spans_axes(good)
    flat, sheared = good.affine_ras.copy(), good.affine_ras.copy()
    flat[:3, 2] = 0
    sheared[:3, 0] += sheared[:3, 1] * 0.2
    assert not spans_axes(Volume(good.data_xyz, flat))
    assert not spans_axes(Volume(good.data_xyz, sheared))
