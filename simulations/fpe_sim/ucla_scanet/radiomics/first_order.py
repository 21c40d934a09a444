"""First-order statistics: what a histogram of intensities tells (Zwanenburg et al., IBSI, Radiology 2020)."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fpe_sim.ucla_scanet.radiomics.grey_levels import NUM_LEVELS, grey_levels

_PERCENTILES = (1, 10, 50, 90, 99)


def first_order(values: NDArray[np.float32]) -> dict[str, float]:
    """Statistics of the intensities in a region.

    Skewness and kurtosis (above 3) of a region without any spread are 0.

    Args:
        values: `(N,)` float32 in [0, 1], N ≥ 1: the recipe's CT window.
    """
    exact = values.astype(np.float64)
    percentiles = dict(zip(_PERCENTILES, np.percentile(exact, _PERCENTILES).tolist(), strict=True))
    quarter, three_quarters = np.percentile(exact, (25, 75))
    shares = np.bincount(grey_levels(values), minlength=NUM_LEVELS) / len(values)
    spread = float(exact.std())
    even = spread < np.finfo(np.float32).eps
    return {
        "mean": float(exact.mean()),
        "standard deviation": spread,
        "skewness": 0.0 if even else float(stats.skew(exact)),
        "kurtosis": 0.0 if even else float(stats.kurtosis(exact)),
        "maximum": float(exact.max()),
        **{f"percentile {number}": value for number, value in percentiles.items()},
        "interquartile range": float(three_quarters - quarter),
        "mean absolute deviation": float(np.abs(exact - exact.mean()).mean()),
        "mean square": float((exact**2).mean()),
        "entropy": float(stats.entropy(shares, base=2)),
        "uniformity": float((shares**2).sum()),
    }
