"""Texture from runs of one grey level: the run-length matrix (Galloway, Comput Graph Image Process 1975)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fpe_sim.ucla_scanet.radiomics.grey_levels import NUM_LEVELS, OUTSIDE, Levels

Matrix = NDArray[np.float64]


def run_length_matrix(levels: Levels) -> Matrix:
    """Number of runs by level and length, over all slices and the four directions in a slice.

    Args:
        levels: `(Z, H, W)`, `OUTSIDE` where a voxel does not count.

    Returns:
        `(NUM_LEVELS, L)` with L the longest run; column 0 is of length 1.
    """
    found = [_runs(lines) for lines in _directions(levels)]
    grey, length = (np.concatenate(parts) for parts in zip(*found, strict=True))
    longest = int(length.max()) if len(length) else 1
    counts = np.bincount(grey * longest + length - 1, minlength=NUM_LEVELS * longest)
    return counts.reshape(NUM_LEVELS, longest).astype(np.float64)


def run_length_features(matrix: Matrix) -> dict[str, float]:
    """Galloway's and Chu's features, under the names of the IBSI (Zwanenburg et al., Radiology 2020).

    Args:
        matrix: as `run_length_matrix` gives it. Without any run all features are 0.
    """
    num_runs = max(float(matrix.sum()), 1.0)
    length = np.arange(1, matrix.shape[1] + 1, dtype=np.float64)
    level = np.arange(1, len(matrix) + 1, dtype=np.float64)
    of_length, of_level = matrix.sum(axis=0), matrix.sum(axis=1)
    num_voxels = max(float(of_length @ length), 1.0)
    return {
        "short runs emphasis": float(of_length @ length**-2.0) / num_runs,
        "long runs emphasis": float(of_length @ length**2) / num_runs,
        "normalised grey level non-uniformity": float(of_level @ of_level) / num_runs**2,
        "normalised run length non-uniformity": float(of_length @ of_length) / num_runs**2,
        "run percentage": num_runs / num_voxels if matrix.any() else 0.0,
        "low grey level run emphasis": float(of_level @ level**-2.0) / num_runs,
        "high grey level run emphasis": float(of_level @ level**2) / num_runs,
    }


def _directions(levels: Levels) -> Iterator[Levels]:
    """The slices so that each direction lies along the last axis."""
    yield levels
    yield levels.transpose(0, 2, 1)
    yield _sheared(levels).transpose(0, 2, 1)
    yield _sheared(levels[:, :, ::-1]).transpose(0, 2, 1)


def _sheared(levels: Levels) -> Levels:
    """Each row one voxel further than the one above it: a diagonal becomes a column."""
    depth, height, width = levels.shape
    sheared = np.full((depth, height, width + height - 1), OUTSIDE, dtype=np.int16)
    for row in range(height):
        sheared[:, row, height - 1 - row : height - 1 - row + width] = levels[:, row]
    return sheared


def _runs(lines: Levels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Level and length of each run along the last axis."""
    # A voxel outside the region ends every line, so that no run goes on in the next.
    flat = np.pad(lines, ((0, 0), (0, 0), (0, 1)), constant_values=OUTSIDE).ravel()
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1])
    lengths = np.diff(np.concatenate([starts, [len(flat)]]))
    grey = flat[starts].astype(np.int64)
    return grey[grey >= 0], lengths[grey >= 0]
