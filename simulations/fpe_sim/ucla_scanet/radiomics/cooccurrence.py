"""Texture from pairs of neighbours: the grey-level co-occurrence matrix (Haralick et al., IEEE Trans SMC 1973)."""

import numpy as np
from numpy.typing import NDArray

from fpe_sim.ucla_scanet.radiomics.grey_levels import NUM_LEVELS, Levels

_STEPS_YX = ((0, 1), (1, 0), (1, 1), (1, -1))
"""To four of the eight neighbours in the slice; the matrix is symmetric, so that the others are in it."""

Matrix = NDArray[np.float64]


def cooccurrence_matrix(levels: Levels) -> Matrix:
    """How often two levels are neighbours in a slice, over all slices and directions.

    Slices are 6 mm apart: a neighbour in the next one is other tissue.

    Args:
        levels: `(Z, H, W)`, `OUTSIDE` where a voxel does not count.

    Returns:
        `(NUM_LEVELS, NUM_LEVELS)`, symmetric, adding up to one; zeros where no two voxels are neighbours.
    """
    counts = np.zeros(NUM_LEVELS * NUM_LEVELS)
    for down, across in _STEPS_YX:
        first, second = _neighbours(levels, down, across)
        both = (first >= 0) & (second >= 0)
        pairs = first[both].astype(np.int64) * NUM_LEVELS + second[both]
        counts += np.bincount(pairs, minlength=len(counts))
    one_way = counts.reshape(NUM_LEVELS, NUM_LEVELS)
    matrix: Matrix = one_way + one_way.T
    matrix /= max(matrix.sum(), 1.0)
    return matrix


def cooccurrence_features(matrix: Matrix) -> dict[str, float]:
    """Haralick's features, under the names of the IBSI (Zwanenburg et al., Radiology 2020).

    Args:
        matrix: as `cooccurrence_matrix` gives it. Of zeros, all features are 0.
    """
    i, j = np.indices(matrix.shape, dtype=np.float64)
    mean = float((i * matrix).sum())
    variance = float(((i - mean) ** 2 * matrix).sum())
    present = matrix[matrix > 0]
    centred = i + j - 2 * mean
    return {
        "contrast": float(((i - j) ** 2 * matrix).sum()),
        "dissimilarity": float((np.abs(i - j) * matrix).sum()),
        "inverse difference moment": float((matrix / (1 + (i - j) ** 2)).sum()),
        "angular second moment": float((matrix**2).sum()),
        "joint entropy": float(-(present * np.log2(present)).sum()),
        "correlation": float(((i - mean) * (j - mean) * matrix).sum() / variance) if variance > 0 else 0.0,
        "cluster shade": float((centred**3 * matrix).sum()),
        "cluster prominence": float((centred**4 * matrix).sum()),
    }


def _neighbours(levels: Levels, down: int, across: int) -> tuple[Levels, Levels]:
    height, width = levels.shape[1:]
    left, right = max(-across, 0), width - max(across, 0)
    first = levels[:, : height - down, left:right]
    return first, levels[:, down:, left + across : right + across]
