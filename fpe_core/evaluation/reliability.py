"""Predicted against observed: the bins of a reliability diagram and the expected calibration error."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fpe_core.evaluation.cases import predicted_cases
from fpe_core.evaluation.shares import Share, share_of


@dataclass(frozen=True)
class ReliabilityBin:
    """Cases of similar probability: what was predicted on average, and how many had the outcome."""

    mean_probability: float
    observed: Share


def reliability_bins(
    probabilities: ArrayLike, labels: ArrayLike, *, num_bins: int = 10, level: float = 0.95
) -> tuple[ReliabilityBin, ...]:
    """Bins between the quantiles of the probabilities, about as many cases in each, from the lowest up.

    Equal probabilities share a bin, so that there may be fewer bins than `num_bins`; none is empty.

    Args:
        probabilities: `(N,)` float in [0, 1].
        labels: `(N,)` 0 or 1; one class alone will do.
        num_bins: largest number of bins, at least 1.
        level: coverage of Wilson's intervals, in (0, 1).

    Raises:
        NotEnoughCases: there is no case.
        ValueError: `num_bins` is below 1.
    """
    cases = predicted_cases(probabilities, labels)
    if num_bins < 1:
        raise ValueError(f"num_bins should be at least 1, got {num_bins}")
    inner_edges = np.quantile(cases.probabilities, np.arange(1, num_bins) / num_bins)
    place = np.searchsorted(inner_edges, cases.probabilities, side="left")
    return tuple(
        ReliabilityBin(
            float(cases.probabilities[place == one].mean()),
            share_of(int(cases.labels[place == one].sum()), int((place == one).sum()), level=level),
        )
        for one in np.unique(place)
    )


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Mean over cases of |predicted − observed| of their bin (Naeini et al., AAAI 2015), in [0, 1].

    Grows with the number of bins when cases are few: compare only where bins and cases are as many.
    """
    num_cases = sum(one.observed.total for one in bins)
    return sum(one.observed.total * abs(one.mean_probability - one.observed.value) for one in bins) / num_cases
