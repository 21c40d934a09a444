"""The single steps on heads whose truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpe_core.config.recipe import Grid, N4Settings, recipe_named
from fpe_core.errors import CaseEmpty, CaseRegistrationFailed
from fpe_core.imaging.geometry import block_factors, block_mean, reorient_to_ras
from fpe_core.imaging.volume import Volume
from fpe_core.preprocessing.background import constant_background
from fpe_core.preprocessing.bias import fit_log_bias, spline_domain, without_bias
from fpe_core.preprocessing.brain_ct import ct_brain
from fpe_core.preprocessing.brain_mr import mr_brain
from fpe_core.preprocessing.field_of_view import crop_to_head, ct_head_mask, outside_to_air
from fpe_core.preprocessing.intensities import clip_to_window, match_histogram, z_score
from fpe_core.preprocessing.morphology import closed, grown, largest, shrunk
from fpe_core.preprocessing.quality import check_overlap, dice, mutual_information, rotation_deg
from fpe_core.preprocessing.resample import to_grid


def brain_ml(mask, volume) -> float:
    return float(mask.sum()) * volume.voxel_ml


def with_table(scan: Volume) -> Volume:
    data = scan.data_xyz.copy()
    data[10:-10, :2, :] = 200.0
    return scan.with_data(data)


def test_the_table_goes_and_the_head_stays(scanner):
    scan = reorient_to_ras(scanner.acquire("ncct"))
    table = with_table(scan)
    clean = outside_to_air(table, ct_head_mask(table))
    assert (clean.data_xyz[10:-10, :2, :] == -1000).all()
    bone = scan.data_xyz > 300
    np.testing.assert_array_equal(clean.data_xyz[bone], scan.data_xyz[bone])


def test_the_neck_is_cut_below_the_top_of_the_head(scanner):
    scan = reorient_to_ras(scanner.acquire("ncct"))
    cropped, head = crop_to_head(scan, ct_head_mask(scan), 100.0)
    top_before = np.flatnonzero((scan.data_xyz > -300).any(axis=(0, 1)))[-1]
    top_mm = (scan.affine_ras @ [0, 0, top_before, 1])[2]
    low, high = (cropped.affine_ras @ [0, 0, 0, 1])[2], (cropped.affine_ras @ [0, 0, cropped.data_xyz.shape[2], 1])[2]
    assert high - low == pytest.approx(100, abs=5)
    assert high >= top_mm
    assert head.shape == block_mean(cropped, block_factors(cropped, 4.0)).data_xyz.shape


@pytest.mark.parametrize("skull", [True, False])
def test_ct_brain_has_the_brain_s_volume_with_and_without_skull(scanner, skull):
    scan = reorient_to_ras(scanner.acquire("ncct", skull=skull))
    coarse = block_mean(scan, block_factors(scan, 4.0))
    assert brain_ml(ct_brain(scan, 4.0), coarse) == pytest.approx(2000, rel=0.12)


@pytest.mark.parametrize("sequence", ["dwi", "flair"])
@pytest.mark.parametrize("skull", [True, False])
def test_mr_brain_has_the_brain_s_volume_with_and_without_skull(scanner, sequence, skull):
    scan = reorient_to_ras(scanner.acquire(sequence, skull=skull))
    assert brain_ml(mr_brain(scan), scan) == pytest.approx(1950, rel=0.12)


def test_constant_background_is_not_noise(scanner):
    assert constant_background(scanner.acquire("dwi", skull=True), 0.2) is None
    assert constant_background(scanner.acquire("dwi", skull=False), 0.2).mean() > 0.5


def test_n4_takes_most_of_a_smooth_bias_out(scanner):
    scan = reorient_to_ras(scanner.acquire("flair", skull=False, spacing_mm=(4.0, 4.0, 6.0)))
    brain = mr_brain(scan)
    across = np.linspace(-1, 1, scan.data_xyz.shape[0])[:, None, None]
    ahead = np.linspace(-1, 1, scan.data_xyz.shape[1])[None, :, None]
    bias = np.broadcast_to(np.exp(0.3 * across + 0.2 * ahead**2), scan.data_xyz.shape)
    biased = scan.with_data(scan.data_xyz * bias)
    left = without_bias(biased, fit_log_bias(biased, brain, N4Settings())).data_xyz
    tissue = brain & (scan.data_xyz > 100)
    remaining = np.log(left[tissue] / scan.data_xyz[tissue])
    assert remaining.std() < 0.5 * np.log(bias[tissue]).std()
    assert np.corrcoef(np.log(biased.data_xyz[tissue] / left[tissue]), np.log(bias[tissue]))[0, 1] > 0.9


def test_n4_s_spline_has_the_knot_distance_that_ants_gives_it():
    spans, below, above = spline_domain((31, 61, 20), (6.0, 6.0, 7.0), 300.0)
    assert spans == [1, 2, 1]
    for axis, (size, step) in enumerate(zip((31, 61, 20), (6.0, 6.0, 7.0), strict=True)):
        assert (size + below[axis] + above[axis] - 1) * step / spans[axis] == pytest.approx(300.0, abs=step)
        assert 0 <= above[axis] - below[axis] <= 1


def test_thin_slices_are_averaged_into_thick_ones():
    stripes = np.zeros((20, 20, 60), np.float32)
    stripes[:, :, ::2] = 2.0
    thin = Volume(stripes, np.diag([1.0, 1.0, 1.0, 1.0]))
    grid = Grid(shape_zyx=(5, 10, 10), spacing_zyx_mm=(6.0, 1.0, 1.0), centre_ras_mm=(10.0, 10.0, 30.0))
    np.testing.assert_allclose(to_grid(thin, grid, np.eye(4), outside=0.0), 1.0, atol=0.05)


def test_a_window_is_clipped_and_scaled():
    scan = Volume(np.array([-1000.0, 0, 25, 100, 900], np.float32).reshape(5, 1, 1), np.eye(4))
    np.testing.assert_allclose(clip_to_window(scan, (0, 100)).data_xyz.ravel(), [0, 0, 0.25, 1, 1])


@given(st.floats(0.1, 100), st.floats(-50, 50))
@settings(max_examples=25, deadline=None)
def test_z_scores_do_not_depend_on_gain_and_offset(gain, offset):
    data = np.random.default_rng(0).normal(size=(4, 8, 8)).astype(np.float32)
    mask = np.random.default_rng(1).random((4, 8, 8)) > 0.3
    plain, _, _ = z_score(data, mask)
    other, _, _ = z_score(data * np.float32(gain) + np.float32(offset), mask)
    np.testing.assert_allclose(other, plain, atol=2e-2)
    assert plain[mask].mean() == pytest.approx(0, abs=1e-5)
    assert (plain[~mask] == 0).all()


def test_a_flat_brain_has_no_z_score():
    with pytest.raises(CaseEmpty):
        z_score(np.ones((2, 2, 2), np.float32), np.ones((2, 2, 2), bool))


def test_matching_brings_the_landmarks_to_the_reference_and_keeps_a_lesion_s_contrast():
    settings_ = recipe_named("mnt-dl-mr").mr_intensities
    reference = settings_.reference_dwi
    data = np.random.default_rng(0).gamma(4.0, size=(6, 20, 20)).astype(np.float32)
    data[3, :5, :5] = 60.0
    mask = np.ones(data.shape, bool)
    matched = match_histogram(data, mask, settings_.landmark_percentiles, reference)
    np.testing.assert_allclose(np.percentile(matched, settings_.landmark_percentiles), reference, atol=0.02)
    order = np.argsort(data.ravel(), kind="stable")
    assert (np.diff(matched.ravel()[order]) >= 0).all()
    assert matched[3, :5, :5].min() > np.percentile(matched, 98) + 1


def test_morphology_works_in_millimetres():
    mask = np.zeros((21, 21, 21), bool)
    mask[5:16, 5:16, 8:13] = True
    spacing = np.array([1.0, 1.0, 4.0])
    assert shrunk(mask, 3.5, spacing).sum() == 5 * 5 * 5
    assert grown(mask, 3.5, spacing)[:, :, 7].sum() == 0
    broken = mask.copy()
    broken[10, :, :] = False
    assert closed(broken, 2.0, spacing)[10, 10, 10]
    broken[10, :, :] = False
    assert largest(broken).sum() == 5 * 11 * 5


def test_dice_and_mutual_information_on_cases_done_by_hand():
    a = np.array([1, 1, 0, 0], bool)
    assert dice(a, np.array([1, 0, 1, 0], bool)) == 0.5
    assert dice(np.zeros(4, bool), np.zeros(4, bool)) == 0.0
    rng = np.random.default_rng(0)
    x, y, everywhere = rng.random((20, 20, 20)), rng.random((20, 20, 20)), np.ones((20, 20, 20), bool)
    assert mutual_information(x, 1 - x, everywhere) > 3
    assert mutual_information(x, y, everywhere) < 0.1


def test_the_rotation_angle_ignores_scale():
    turn = np.diag([1.1, 0.9, 1.2, 1.0])
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    turn[:2, :2] = np.array([[c, -s], [s, c]]) * 1.1
    assert rotation_deg(turn) == pytest.approx(20)


def test_a_poor_overlap_is_a_failed_registration():
    check_overlap(0.9, 0.8)
    with pytest.raises(CaseRegistrationFailed):
        check_overlap(0.7, 0.8)
