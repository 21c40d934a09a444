"""Each reason for which a scan is refused, and the units of ADC."""

import numpy as np
import pytest

from fpe_core.errors import CaseEmpty, CaseModalityWrong, CaseNonFinite, CaseSpacingImpossible
from fpe_core.imaging.volume import Volume
from fpe_core.preprocessing.adc import adc_from_b_values, normalise_adc_unit
from fpe_core.preprocessing.check import check_volume


def changed(volume: Volume, **change) -> Volume:
    return Volume(change.get("data", volume.data_xyz), change.get("affine", volume.affine_ras))


@pytest.mark.parametrize("sequence", ["ncct", "cta", "dwi", "adc", "flair", "b0"])
@pytest.mark.parametrize("skull", [True, False])
def test_good_scans_pass(scanner, sequence, skull):
    check_volume(scanner.acquire(sequence, skull=skull), sequence)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_voxel_that_is_no_number_is_enough(scanner, value):
    data = scanner.acquire("dwi").data_xyz.copy()
    data[3, 4, 5] = value
    with pytest.raises(CaseNonFinite):
        check_volume(changed(scanner.acquire("dwi"), data=data), "dwi")


def test_a_constant_image_is_empty(scanner):
    scan = scanner.acquire("ncct")
    with pytest.raises(CaseEmpty):
        check_volume(changed(scan, data=np.full_like(scan.data_xyz, -1000)), "ncct")


@pytest.mark.parametrize("factor", [0.01, 0.2, 5.0])
def test_voxels_and_extents_that_no_head_scan_has(scanner, factor):
    scan = scanner.acquire("dwi")
    affine = scan.affine_ras @ np.diag([factor, factor, factor, 1])
    with pytest.raises(CaseSpacingImpossible):
        check_volume(changed(scan, affine=affine), "dwi")


def test_a_flat_affine_is_refused(scanner):
    scan = scanner.acquire("dwi")
    with pytest.raises(CaseSpacingImpossible):
        check_volume(changed(scan, affine=np.diag([3.0, 3.0, 0.0, 1.0])), "dwi")


def test_an_mr_is_no_ct_and_a_ct_is_no_mr(scanner):
    with pytest.raises(CaseModalityWrong):
        check_volume(scanner.acquire("flair", noise=0.1), "ncct")
    with pytest.raises(CaseModalityWrong):
        check_volume(scanner.acquire("ncct"), "dwi")


def test_a_ct_without_its_offset_is_refused(scanner):
    scan = scanner.acquire("ncct")
    with pytest.raises(CaseModalityWrong):
        check_volume(changed(scan, data=scan.data_xyz + 5000), "ncct")


@pytest.mark.parametrize(("stored", "factor"), [(1.0, 1.0), (1000.0, 1e-3), (1e-3, 1e3)])
@pytest.mark.parametrize("skull", [True, False])
def test_adc_comes_out_in_1e_3_whatever_it_was_stored_in(scanner, stored, factor, skull):
    scan = scanner.acquire("adc", skull=skull)
    unit, found = normalise_adc_unit(changed(scan, data=scan.data_xyz * np.float32(stored)))
    assert found == factor
    np.testing.assert_allclose(unit.data_xyz, np.clip(scan.data_xyz, 0, 5), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 30.0, 1e5])
def test_values_that_fit_no_unit_are_refused(scanner, level):
    scan = scanner.acquire("adc")
    with pytest.raises(CaseModalityWrong):
        normalise_adc_unit(changed(scan, data=np.full_like(scan.data_xyz, level)))


def test_adc_from_b_values_is_the_logarithm_of_their_ratio():
    adc = np.linspace(0.3, 3.0, 1000, dtype=np.float32).reshape(10, 10, 10)
    b0 = Volume(np.full((10, 10, 10), 500, np.float32), np.eye(4))
    b1000 = Volume(b0.data_xyz * np.exp(-adc), np.eye(4))
    np.testing.assert_allclose(adc_from_b_values(b0, b1000).data_xyz, adc, rtol=1e-5)


def test_voxels_without_signal_have_no_adc():
    data = np.full((4, 4, 4), 500, np.float32)
    data[0] = 0
    b0 = Volume(data, np.eye(4))
    assert (adc_from_b_values(b0, Volume(data * 0.5, np.eye(4))).data_xyz[0] == 0).all()


def test_b_values_on_different_grids_are_refused(scanner):
    with pytest.raises(CaseSpacingImpossible):
        adc_from_b_values(scanner.acquire("b0"), scanner.acquire("dwi", spacing_mm=(2.0, 2.0, 5.0)))


@pytest.mark.parametrize("air", [0.0, 24.0])
@pytest.mark.parametrize("sequence", ["ncct", "cta"])
def test_a_ct_stored_with_its_offset_is_refused_with_a_hint(scanner, sequence, air):
    scan = scanner.acquire(sequence)
    stored = np.maximum(scan.data_xyz + 1024, air * np.random.default_rng(0).random(scan.data_xyz.shape))
    with pytest.raises(CaseModalityWrong, match="offset") as refused:
        check_volume(changed(scan, data=stored.astype(np.float32)), sequence)
    assert "rescale intercept" in str(refused.value.hint)


@pytest.mark.parametrize("padding", [-1024.0, -2000.0, -3024.0])
def test_padding_outside_the_round_field_of_view_is_no_fault(scanner, padding):
    scan = scanner.acquire("ncct")
    across = np.linspace(-1, 1, scan.data_xyz.shape[0])[:, None, None]
    ahead = np.linspace(-1, 1, scan.data_xyz.shape[1])[None, :, None]
    round_field = np.where(across**2 + ahead**2 < 1, scan.data_xyz, padding).astype(np.float32)
    check_volume(changed(scan, data=round_field), "ncct")


def leaning(volume: Volume, tilt_deg: float) -> np.ndarray:
    affine = volume.affine_ras.copy()
    size = volume.spacing_mm[1]
    affine[:3, 1] = np.array([0, np.cos(np.radians(tilt_deg)), np.sin(np.radians(tilt_deg))]) * size
    return affine


@pytest.mark.parametrize("tilt_deg", [-30.0, -12.0, 20.0, 30.0])
def test_a_gantry_may_tilt(scanner, tilt_deg):
    scan = scanner.acquire("ncct")
    check_volume(changed(scan, affine=leaning(scan, tilt_deg)), "ncct")


@pytest.mark.parametrize(("sequence", "tilt_deg"), [("ncct", 35.0), ("cta", -45.0), ("dwi", 6.0), ("flair", -20.0)])
def test_axes_further_from_right_angles_are_refused(scanner, sequence, tilt_deg):
    scan = scanner.acquire(sequence)
    with pytest.raises(CaseSpacingImpossible, match="right angles"):
        check_volume(changed(scan, affine=leaning(scan, tilt_deg)), sequence)


def test_what_rounding_leaves_of_right_angles_passes_in_mr(scanner):
    scan = scanner.acquire("dwi")
    check_volume(changed(scan, affine=leaning(scan, 3.0)), "dwi")
