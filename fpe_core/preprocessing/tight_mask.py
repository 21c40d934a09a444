"""The second, tighter brain extraction: what both the image and the registered template call brain."""

import numpy as np

from fpe_core.errors import CaseBrainMaskImplausible
from fpe_core.imaging.geometry import sitk_transform, to_sitk
from fpe_core.imaging.itk import sitk
from fpe_core.imaging.template import Template
from fpe_core.imaging.volume import Mask, Matrix, Volume
from fpe_core.preprocessing.morphology import filled, grown

BRAIN_ML = (600.0, 2700.0)
"""Adult brains with CSF lie at 1000-1900 ml; the template, an average with blurred borders, has 2000. The margin is for
scans that miss slices."""
_MARGIN_MM = 5.0


def tight_mask(rough_xyz: Mask, working: Volume, template: Template, mni_from_native: Matrix) -> Mask:
    """`rough_xyz` without what lies further than 5 mm outside the template's brain.

    Args:
        rough_xyz: `(X, Y, Z)` bool on `working`'s voxels.
        working: gives the voxels' place, native RAS+ mm.
        template: MNI152.
        mni_from_native: `(4, 4)` native RAS+ mm to MNI RAS+ mm.

    Raises:
        CaseBrainMaskImplausible: fewer than 600 or more than 2700 ml are left.
    """
    inside = template.t1.with_data(template.brain_xyz.astype(np.float32))
    there = sitk.Resample(to_sitk(inside), to_sitk(working), sitk_transform(mni_from_native), sitk.sitkLinear, 0.0)
    prior = sitk.GetArrayViewFromImage(there).transpose(2, 1, 0) > 0.5
    mask = filled(rough_xyz & grown(prior, _MARGIN_MM, working.spacing_mm))
    volume_ml = float(mask.sum()) * working.voxel_ml
    if not BRAIN_ML[0] <= volume_ml <= BRAIN_ML[1]:
        raise CaseBrainMaskImplausible(f"the brain mask should hold 600 to 2700 ml, got {volume_ml:.0f} ml")
    return mask
