"""Where features are measured: the whole brain, the occluded vessel's territories, and the same on the other side."""

from dataclasses import dataclass

import numpy as np

from fpe_core.data.case_row import CaseRow
from fpe_core.errors import DataError
from fpe_core.imaging.territories import LABELS, SUPPLIED_BY, Territories
from fpe_core.imaging.volume import Mask

_WHERE_UNKNOWN = "ica"
"""Where the occluded vessel is not known, all that an anterior occlusion can cut off: territories of ACA and MCA."""


@dataclass(frozen=True, eq=False)
class Regions:
    """Masks `(Z, H, W)` bool, each with a voxel at least.

    Attributes:
        brain: the case's brain mask.
        occluded: in the brain, the territories behind the occlusion, on its side.
        other: in the brain, the same territories on the other side.
    """

    brain: Mask
    occluded: Mask
    other: Mask


def regions_of(row: CaseRow, brain_zyx: Mask, territories: Territories) -> Regions:
    """The regions of a case.

    Args:
        row: side and place of the occlusion.
        brain_zyx: `(Z, H, W)` bool, on the territories' grid.
        territories: of the recipe's grid.

    Raises:
        DataError: the side is not known, or a region has no voxel.
    """
    if row.occlusion_side is None:
        raise DataError("radiomics needs the side of the stroke", hint="leave out cases whose side is unclear")
    names = SUPPLIED_BY[row.occlusion_site or _WHERE_UNKNOWN]
    occluded, other = (
        brain_zyx & np.isin(territories.labels_zyx, [label for label, meaning in LABELS.items() if meaning in wanted])
        for wanted in (
            {(name, side) for name in names}
            for side in (row.occlusion_side, "left" if row.occlusion_side == "right" else "right")
        )
    )
    if not (occluded.any() and other.any()):
        raise DataError("a territory has no voxel in the brain mask", hint="look at the case's picture: fpe-client qc")
    return Regions(brain_zyx, occluded, other)
