"""Federated averaging: the mean of the sites' updates, weighted by their training cases."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fpe_core.errors import UpdateWeightInvalid
from fpe_core.state import FlatState


@dataclass(frozen=True, eq=False)
class SiteUpdate:
    """One site's contribution to a round.

    Attributes:
        delta: trained weights minus received weights.
        num_cases: training cases (never batches) behind it.
    """

    delta: FlatState
    num_cases: int


def weighted_average(updates: Mapping[str, SiteUpdate]) -> FlatState:
    """Σ n_k Δ_k / Σ n_k over sites k (McMahan et al. 2017, algorithm 1), summed in float64.

    Sites are summed in the order of their names, so that the order of arrival changes nothing at all. The updates must
    have passed `check_update`.

    Raises:
        UpdateWeightInvalid: there is no update.
    """
    if not updates:
        raise UpdateWeightInvalid("an average needs at least one update")
    ordered = [updates[site] for site in sorted(updates)]
    total = sum(update.num_cases for update in ordered)
    mean = np.zeros(ordered[0].delta.values.shape, dtype=np.float64)
    for update in ordered:
        mean += update.delta.values * np.float64(update.num_cases / total)
    return FlatState(ordered[0].delta.layout, mean.astype(np.float32))
