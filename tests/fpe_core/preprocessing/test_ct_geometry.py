"""CT in every orientation and with tilted gantries."""

from itertools import permutations, product

import numpy as np
import pytest

from fpe_core.config.recipe import recipe_named
from fpe_core.imaging.geometry import inverted, reorient_to_ras, resampled
from fpe_core.imaging.template import load_template
from fpe_core.imaging.volume import Matrix, Volume
from fpe_core.preprocessing.history import History
from fpe_core.preprocessing.native_mask import native_brain_mask
from fpe_core.preprocessing.pipeline import Output
from fpe_core.preprocessing.pipeline_ct import run_ct
from fpe_core.preprocessing.quality import dice
from fpe_core.preprocessing.resample import to_grid

CT = recipe_named("mnt-dl-ct-small")
ALL_ORIENTATIONS = ["".join(letters) for axes in permutations(("RL", "AP", "SI")) for letters in product(*axes)]
THROUGH_THE_PIPELINE = ("LAS", "RPI", "SAL", "PIR")


def run(scan: Volume, sequence: str = "ncct") -> Output:
    return run_ct({sequence: scan}, CT, History())


def stored(volume: Volume, orientation: str) -> Volume:
    """A RAS+ volume with its axes permuted and flipped, and the header that says so."""
    order = ["RLAPSI".index(code) // 2 for code in orientation]
    data, step = volume.data_xyz.transpose(order), np.eye(4)[:, [*order, 3]]
    affine = volume.affine_ras @ step
    for axis, code in enumerate(orientation):
        if code in "LPI":
            flip = np.eye(4)
            flip[axis, axis], flip[axis, 3] = -1, data.shape[axis] - 1
            data, affine = np.flip(data, axis), affine @ flip
    return Volume(np.ascontiguousarray(data), affine)


def with_tilt(scan: Volume, tilt_deg: float) -> Volume:
    """`scan` acquired again with a tilted gantry: leaning slices, stacked along the table."""
    tilt, spacing = np.radians(tilt_deg), scan.spacing_mm
    affine = np.diag([*spacing, 1.0])
    affine[:3, 1] = spacing[1] * np.array([0, np.cos(tilt), np.sin(tilt)])
    middle = (np.array(scan.data_xyz.shape) - 1) / 2
    affine[:3, 3] = (scan.affine_ras @ [*middle, 1])[:3] - affine[:3, :3] @ middle
    x, y, z = scan.data_xyz.shape
    return resampled(scan, (x, y, z), affine, outside=-1000.0)


def error_mm(found: Matrix, truth: Matrix) -> float:
    """Mean distance between where two transforms to MNI put the brain's points."""
    template = load_template(6)
    points = np.argwhere(template.brain_xyz) @ template.t1.affine_ras[:3, :3].T + template.t1.affine_ras[:3, 3]
    moved = np.c_[points, np.ones(len(points))] @ (found @ inverted(truth)).T
    return float(np.linalg.norm(moved[:, :3] - points, axis=1).mean())


@pytest.fixture(scope="module")
def marked(scanner) -> Volume:
    """Thin slices, so that acquiring it again with a tilt loses little, with a lesion on the right."""
    return scanner.acquire("ncct", spacing_mm=(2.5, 2.5, 2.5), orientation="RAS", marker=True, noise=0.05)


def test_every_orientation_is_the_same_image_on_the_grid(marked):
    assert len(set(ALL_ORIENTATIONS)) == 48
    place = np.eye(4)
    expected = to_grid(marked, CT.grid, place, outside=-1000.0)
    for orientation in ALL_ORIENTATIONS:
        found = to_grid(reorient_to_ras(stored(marked, orientation)), CT.grid, place, outside=-1000.0)
        np.testing.assert_allclose(found, expected, atol=0.01, err_msg=orientation)


def test_the_pipeline_gives_the_same_bytes_in_any_orientation(marked):
    first = run(marked)
    for orientation in THROUGH_THE_PIPELINE:
        other = run(stored(marked, orientation))
        np.testing.assert_allclose(other.volumes["ncct"], first.volumes["ncct"], atol=1e-4, err_msg=orientation)
        assert (other.mask_zyx != first.mask_zyx).mean() < 1e-4
    bright = np.where(first.mask_zyx, first.volumes["ncct"], 0)[13:20]
    half = bright.shape[2] // 2
    assert (bright[:, 16:48, :half] > 0.6).sum() > 5 * (bright[:, 16:48, half:] > 0.6).sum(), "the lesion changed sides"


@pytest.mark.parametrize("tilt_deg", [-12.0, 20.0, 30.0])
def test_leaning_slices_are_interpolated_to_where_straight_ones_are(marked, tilt_deg):
    place = np.eye(4)
    soft = marked.with_data(np.clip(marked.data_xyz, 0, 100))
    straight = to_grid(soft, CT.grid, place, outside=0.0)
    leaning = to_grid(with_tilt(soft, tilt_deg), CT.grid, place, outside=0.0)
    middle = (slice(6, 20), slice(16, 48), slice(16, 48))
    difference = (leaning - straight)[middle]
    assert abs(float(difference.mean())) < 0.1, "HU, no bias"
    assert float(np.abs(difference).mean()) < 2.0, "HU, what two interpolations leave"
    moved = [np.abs(np.roll(straight, 1, axis=axis) - straight)[middle].mean() for axis in range(3)]
    assert float(np.abs(difference).mean()) < 0.5 * min(moved), "closer than one voxel to the side"


@pytest.mark.parametrize("tilt_deg", [-15.0, 20.0, 30.0])
def test_a_tilted_gantry_does_not_move_the_head(marked, tilt_deg):
    straight, leaning = run(marked), run(with_tilt(marked, tilt_deg))
    assert error_mm(leaning.mni_from_native["ncct"], straight.mni_from_native["ncct"]) < 2.0
    assert dice(leaning.mask_zyx, straight.mask_zyx) > 0.97
    both = leaning.mask_zyx & straight.mask_zyx
    assert abs(float(leaning.volumes["ncct"][both].mean() - straight.volumes["ncct"][both].mean())) < 0.01


@pytest.mark.parametrize("tilt_deg", [0.0, 20.0])
def test_the_native_mask_is_the_inside_of_the_skull(scanner, marked, tilt_deg):
    scan = with_tilt(marked, tilt_deg) if tilt_deg else marked
    shape = (int(scan.data_xyz.shape[0]), int(scan.data_xyz.shape[1]), int(scan.data_xyz.shape[2]))
    tissues = scanner.tissues
    near = Volume((tissues.outside_mm <= 3).astype(np.float32), tissues.affine_ras)
    truth = resampled(near, shape, scan.affine_ras, outside=0.0).data_xyz > 0.5
    assert dice(native_brain_mask(scan, "ncct", CT, margin_mm=0.0), truth) > 0.96
    wide = native_brain_mask(scan, "ncct", CT)
    assert dice(wide, truth) > 0.95
    assert wide.shape == scan.data_xyz.shape
