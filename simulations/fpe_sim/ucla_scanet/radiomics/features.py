"""All features of one case: each sequence, in the brain, behind the occlusion, and against the other side."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fpe_core.imaging.volume import Mask
from fpe_sim.ucla_scanet.radiomics.cooccurrence import cooccurrence_features, cooccurrence_matrix
from fpe_sim.ucla_scanet.radiomics.first_order import first_order
from fpe_sim.ucla_scanet.radiomics.grey_levels import region_levels
from fpe_sim.ucla_scanet.radiomics.regions import Regions
from fpe_sim.ucla_scanet.radiomics.run_lengths import run_length_features, run_length_matrix

FEATURES_VERSION = 2
"""Raised whenever the same case would give other features."""

Volume = NDArray[np.float32]


def case_features(volumes: Mapping[str, Volume], regions: Regions) -> dict[str, float]:
    """The features by name, such as `ncct · occluded side · entropy`.

    Args:
        volumes: each sequence `(Z, H, W)` float32, its CT window scaled to [0, 1].
        regions: on the same voxels.
    """
    features: dict[str, float] = {}
    for sequence, volume in volumes.items():
        brain, occluded, other = (
            region_features(volume, region) for region in (regions.brain, regions.occluded, regions.other)
        )
        against = {name: value - other[name] for name, value in occluded.items()}
        for place, found in (("brain", brain), ("occluded side", occluded), ("against other side", against)):
            features |= {f"{sequence} · {place} · {name}": value for name, value in found.items()}
    return features


def region_features(volume: Volume, region: Mask) -> dict[str, float]:
    """First-order statistics and texture of one region of one sequence."""
    levels = region_levels(volume, region)
    return (
        first_order(volume[region])
        | cooccurrence_features(cooccurrence_matrix(levels))
        | run_length_features(run_length_matrix(levels))
    )
