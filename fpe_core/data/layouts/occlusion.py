"""On which side a marked occlusion lies."""

from typing import Final, Literal

import numpy as np

from fpe_core.errors import CaseEmpty, CaseSpacingImpossible
from fpe_core.imaging.volume import Volume

_BONE_ABOVE_HU: Final = 300.0
_LEAST_OFF_MIDDLE_MM: Final = 5.0


def occlusion_side(mask: Volume, ncct: Volume) -> Literal["left", "right"] | None:
    """The patient's side of a mask of the occluded vessel, against the middle of the skull.

    Terminal ICA and M1 lie a centimetre and more from the middle; a mark within 5 mm of it has no side.

    Args:
        mask: not 0 where the occlusion is, on the NCCT's voxels; its own affine is not looked at, since derived files
            have lost theirs at times.
        ncct: HU, in RAS+ mm.

    Raises:
        CaseSpacingImpossible: the mask has other voxels than the NCCT.
        CaseEmpty: nothing is marked, or the NCCT shows no bone.
    """
    if mask.data_xyz.shape != ncct.data_xyz.shape:
        raise CaseSpacingImpossible(f"the mask has shape {mask.data_xyz.shape}, the NCCT {ncct.data_xyz.shape}")
    marked, bone = np.argwhere(mask.data_xyz > 0), np.argwhere(ncct.data_xyz > _BONE_ABOVE_HU)
    if not len(marked) or not len(bone):
        raise CaseEmpty("nothing is marked, or the NCCT shows no bone")
    off_middle_mm = float(ncct.affine_ras[0, :3] @ (marked.mean(axis=0) - bone.mean(axis=0)))
    if abs(off_middle_mm) < _LEAST_OFF_MIDDLE_MM:
        return None
    return "right" if off_middle_mm > 0 else "left"
