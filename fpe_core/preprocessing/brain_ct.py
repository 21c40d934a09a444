"""Brain extraction from CT: soft tissue inside the skull.

After Muschelli et al., NeuroImage 2015 (threshold 0-100 HU, smooth, fill); connectivity cut in millimetres takes the
place of the deformable surface, and the registered template closes what stays open at the skull base.
"""

from fpe_core.imaging.geometry import block_factors, block_share, straightened
from fpe_core.imaging.volume import Mask, Volume
from fpe_core.preprocessing.background import constant_background
from fpe_core.preprocessing.morphology import closed, grown, largest, shrunk

_TISSUE_HU = (-15.0, 100.0)
"""CSF minus its noise, up to clotted blood; bone and fat lie outside."""
_TISSUE_SHARE = 0.6
_BACKGROUND_SHARE = 0.15
_CUT_MM = 7.0
_CLOSING_MM = 8.0


def ct_brain(raw: Volume, working_spacing_mm: float, upper_hu: float = _TISSUE_HU[1]) -> Mask:
    """`(x, y, z)` bool on the voxels of `Scan.working`: brain, CSF, and some neck below.

    Args:
        raw: CT in HU, RAS+ axis order, without table; its slices may lean.
        working_spacing_mm: voxel size of the mask, in mm.
        upper_hu: raise it for CTA, whose vessels are brighter than tissue.

    A skull that was removed before does no harm: what was set to a constant counts as outside.
    """
    tissue = (raw.data_xyz > _TISSUE_HU[0]) & (raw.data_xyz < upper_hu)
    background = constant_background(raw, _BACKGROUND_SHARE)
    if background is not None:
        tissue &= ~background
    blocks = block_share(tissue, raw, block_factors(raw, working_spacing_mm))
    share = straightened(blocks, outside=0.0)
    candidate = share.data_xyz > _TISSUE_SHARE
    core = largest(shrunk(candidate, _CUT_MM, share.spacing_mm))
    return closed(grown(core, _CUT_MM, share.spacing_mm) & candidate, _CLOSING_MM, share.spacing_mm)
