"""Orientation and grids: voxels move, places do not."""

import numpy as np
import pytest

from fpe_core.config.recipe import Grid
from fpe_core.imaging.geometry import (
    block_factors,
    block_mean,
    block_share,
    crop,
    grid_affine_ras,
    inverted,
    matrix_from_itk,
    reference_image,
    reorient_to_ras,
    shear_deg,
    sitk_transform,
    spans_space,
    straightened,
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


def test_affines_that_span_no_space_are_recognised():
    good = volume("LPS").affine_ras
    assert spans_space(good)
    flat, thin, undefined = good.copy(), good.copy(), good.copy()
    flat[:3, 2] = 0
    thin[:3, 0] = thin[:3, 1]
    undefined[0, 3] = np.nan
    assert not any(spans_space(affine) for affine in (flat, thin, undefined))


def leaning(image: Volume, tilt_deg: float) -> Volume:
    """The same voxels in slices that lean by `tilt_deg` about x, stacked along z, as a tilted gantry acquires them."""
    tilt = np.radians(tilt_deg)
    affine = image.affine_ras.copy()
    affine[:3, 1] = image.spacing_mm[1] * np.array([0, np.cos(tilt), np.sin(tilt)])
    return Volume(image.data_xyz, affine)


@pytest.mark.parametrize("tilt_deg", [-30.0, 0.0, 12.5, 30.0])
def test_shear_is_the_gantry_s_tilt(tilt_deg):
    assert shear_deg(leaning(volume("RAS"), tilt_deg).affine_ras) == pytest.approx(abs(tilt_deg), abs=1e-5)


@pytest.mark.parametrize("tilt_deg", [-30.0, 8.0, 20.0])
def test_straightening_keeps_every_place_and_loses_no_corner(tilt_deg):
    index = np.moveaxis(np.indices((40, 44, 30)), 0, -1)
    plain = leaning(volume("RAS", shape=(40, 44, 30)), tilt_deg)
    place = index @ plain.affine_ras[:3, :3].T + plain.affine_ras[:3, 3]
    ramp = plain.with_data(place @ np.array([0.5, -1.0, 2.0]) + 1000)
    straight = straightened(ramp, outside=0.0)
    assert shear_deg(straight.affine_ras) < 1e-6
    new = np.moveaxis(np.indices(straight.data_xyz.shape), 0, -1)
    expected = (new @ straight.affine_ras[:3, :3].T + straight.affine_ras[:3, 3]) @ np.array([0.5, -1.0, 2.0]) + 1000
    old_index = (new @ straight.affine_ras[:3, :3].T + straight.affine_ras[:3, 3] - plain.affine_ras[:3, 3]) @ inverted(
        plain.affine_ras
    )[:3, :3].T
    inside = ((old_index >= 0) & (old_index <= np.array([39, 43, 29]))).all(axis=-1)
    np.testing.assert_allclose(straight.data_xyz[inside], expected[inside], atol=2e-3)
    volume_ml = abs(np.linalg.det(plain.affine_ras[:3, :3])) * 39 * 43 * 29
    assert inside.sum() * abs(np.linalg.det(straight.affine_ras[:3, :3])) == pytest.approx(volume_ml, rel=0.05)


def test_what_is_straight_is_not_interpolated():
    plain = volume("RAS")
    assert straightened(plain, outside=0.0) is plain


def test_the_share_of_a_mask_is_its_mean():
    plain = volume("LPS", shape=(9, 10, 12))
    mask = plain.data_xyz > 0.4
    share = block_share(mask, plain, (2, 3, 4))
    expected = block_mean(plain.with_data(mask), (2, 3, 4))
    np.testing.assert_allclose(share.data_xyz, expected.data_xyz)
    np.testing.assert_allclose(share.affine_ras, expected.affine_ras)
    assert share.data_xyz[0, 0, 0] == pytest.approx(mask[:2, :3, :4].mean())


def test_reorienting_copies_nothing():
    before = volume("PIR")
    assert np.shares_memory(reorient_to_ras(before).data_xyz, before.data_xyz)
