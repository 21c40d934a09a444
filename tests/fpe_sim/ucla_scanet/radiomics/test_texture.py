"""Texture by hand on images small enough to count, and against a slow loop on random ones."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fpe_sim.ucla_scanet.radiomics.cooccurrence import cooccurrence_features, cooccurrence_matrix
from fpe_sim.ucla_scanet.radiomics.first_order import first_order
from fpe_sim.ucla_scanet.radiomics.grey_levels import NUM_LEVELS, OUTSIDE, grey_levels, region_levels
from fpe_sim.ucla_scanet.radiomics.run_lengths import run_length_features, run_length_matrix

DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


def patchy(shape: tuple[int, int, int] = (2, 7, 6)) -> NDArray[np.int16]:
    rng = np.random.default_rng(3)
    levels = rng.integers(0, 4, shape).astype(np.int16)
    levels[rng.random(shape) < 0.2] = OUTSIDE
    return levels


def pairs_one_by_one(levels: NDArray[np.int16]) -> NDArray[np.float64]:
    counts = np.zeros((NUM_LEVELS, NUM_LEVELS))
    for z, y, x in np.ndindex(levels.shape):
        for down, across in DIRECTIONS:
            there = (z, y + down, x + across)
            if there[1] < levels.shape[1] and 0 <= there[2] < levels.shape[2]:
                one, other = levels[z, y, x], levels[there]
                if min(one, other) >= 0:
                    counts[one, other] += 1
                    counts[other, one] += 1
    return counts / counts.sum()


def runs_one_by_one(levels: NDArray[np.int16]) -> dict[tuple[int, int], int]:
    found: dict[tuple[int, int], int] = {}
    for down, across in DIRECTIONS:
        for z, y, x in np.ndindex(levels.shape):
            level = levels[z, y, x]
            if level < 0 or _at(levels, z, y - down, x - across) == level:
                continue
            length = 1
            while _at(levels, z, y + length * down, x + length * across) == level:
                length += 1
            found[int(level), length] = found.get((int(level), length), 0) + 1
    return found


def _at(levels: NDArray[np.int16], z: int, y: int, x: int) -> int | None:
    inside = 0 <= y < levels.shape[1] and 0 <= x < levels.shape[2]
    return int(levels[z, y, x]) if inside else None


def test_pairs_are_those_of_a_loop_over_voxels() -> None:
    np.testing.assert_allclose(cooccurrence_matrix(patchy()), pairs_one_by_one(patchy()))


def test_runs_are_those_of_a_loop_over_voxels() -> None:
    matrix = run_length_matrix(patchy())
    found = {(int(i), int(j) + 1): int(matrix[i, j]) for i, j in np.argwhere(matrix)}
    assert found == runs_one_by_one(patchy())


def test_a_chessboard_by_hand() -> None:
    """Two by two voxels of levels 0 and 2: four pairs differ, two diagonal ones do not."""
    levels = np.array([[[0, 2], [2, 0]]], dtype=np.int16)
    pairs = cooccurrence_features(cooccurrence_matrix(levels))
    assert pairs["contrast"] == pytest.approx(4 * 4 / 6)
    assert pairs["dissimilarity"] == pytest.approx(4 * 2 / 6)
    assert pairs["inverse difference moment"] == pytest.approx(2 / 6 + 4 / 6 / 5)
    assert pairs["angular second moment"] == pytest.approx(2 * (1 / 6) ** 2 + 2 * (2 / 6) ** 2)
    assert pairs["correlation"] == pytest.approx(-1 / 3)
    runs = run_length_features(run_length_matrix(levels))
    # Along rows and columns 8 runs of length 1; along each diagonal one of length 2 and two of length 1.
    assert runs["short runs emphasis"] == pytest.approx((12 + 2 / 4) / 14)
    assert runs["long runs emphasis"] == pytest.approx((12 + 2 * 4) / 14)
    assert runs["run percentage"] == pytest.approx(14 / 16)
    assert runs["low grey level run emphasis"] == pytest.approx((7 + 7 / 9) / 14)


def test_an_even_region_has_no_texture() -> None:
    levels = np.full((1, 4, 4), 5, dtype=np.int16)
    pairs = cooccurrence_features(cooccurrence_matrix(levels))
    assert (pairs["contrast"], pairs["joint entropy"], pairs["angular second moment"]) == (0, 0, 1)
    assert pairs["correlation"] == 0
    assert run_length_matrix(levels).shape == (NUM_LEVELS, 4)


def test_a_single_voxel_has_finite_features() -> None:
    levels = np.array([[[3]]], dtype=np.int16)
    features = cooccurrence_features(cooccurrence_matrix(levels)) | run_length_features(run_length_matrix(levels))
    assert np.isfinite(list(features.values())).all()
    assert np.isfinite(list(first_order(np.array([0.3], dtype=np.float32)).values())).all()


def test_texture_does_not_change_in_the_mirror() -> None:
    levels, mirrored = patchy(), patchy()[:, :, ::-1]
    np.testing.assert_allclose(cooccurrence_matrix(mirrored), cooccurrence_matrix(levels))
    np.testing.assert_array_equal(run_length_matrix(mirrored), run_length_matrix(levels))


def test_first_order_by_hand() -> None:
    values = np.array([0.0, 0.25, 0.5, 1.0], dtype=np.float32)
    found = first_order(values)
    assert found["mean"] == pytest.approx(0.4375)
    assert found["standard deviation"] == pytest.approx(np.sqrt(np.mean((values - 0.4375) ** 2)))
    assert found["maximum"] == 1
    assert found["percentile 50"] == pytest.approx(0.375)
    assert found["interquartile range"] == pytest.approx(0.4375)
    assert found["mean square"] == pytest.approx((0.0625 + 0.25 + 1) / 4)
    assert (found["entropy"], found["uniformity"]) == (pytest.approx(2), pytest.approx(0.25))


def test_levels_have_a_fixed_width_and_the_region_is_cut_out() -> None:
    np.testing.assert_array_equal(grey_levels(np.array([0, 1 / 32, 0.999, 1], np.float32)), [0, 1, 31, 31])
    volume = np.linspace(0, 1, 60, dtype=np.float32).reshape(3, 4, 5)
    region = np.zeros(volume.shape, dtype=bool)
    region[1, 1:3, 2] = region[2, 1, 4] = True
    levels = region_levels(volume, region)
    assert levels.shape == (2, 2, 3)
    assert (levels >= 0).sum() == 3
    assert levels[0, 0, 0] == grey_levels(volume[1, 1, 2])
