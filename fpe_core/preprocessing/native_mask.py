"""The brain mask of a CT on the scan's own voxels: the inside of the skull, from vertex to foramen magnum.

The pipeline's own mask stays 1 to 2 mm inside the skull, so that no bone reaches the network. As a measure of the
cranial cavity it is too small: of a voxel that holds bone and brain, the threshold of 100 HU gives all to the bone.
Here the border lies where the density is halfway between brain and cortical bone, which is where the inner table is
whatever the blur of the scan.
"""

import numpy as np
from scipy import ndimage

from fpe_core.config.recipe import PreprocessingRecipe
from fpe_core.errors import CaseModalityWrong
from fpe_core.imaging.geometry import resampled
from fpe_core.imaging.volume import Array, Mask, Volume
from fpe_core.preprocessing.background import constant_background
from fpe_core.preprocessing.check import CT_SEQUENCES
from fpe_core.preprocessing.history import History
from fpe_core.preprocessing.morphology import filled
from fpe_core.preprocessing.pipeline import land
from fpe_core.preprocessing.pipeline_ct import ct_brain_image
from fpe_core.preprocessing.sequence import checked, ct_scan

_INSIDE_SKULL_HU = (-30.0, 500.0)
"""Above the noise of CSF; up to halfway between brain, near 35 HU, and cortical bone, near 1000 HU."""
_REACH_MM = 2.0
"""How far the inner table is looked for beyond the pipeline's mask."""
_BACKGROUND_SHARE = 0.15
MARGIN_MM = 1.0
"""Default margin. The half-height border cuts each voxel that it passes; a mask that is applied to the scan should
rather keep a rim of bone than lose cortex."""


def native_brain_mask(
    volume: Volume, sequence: str, recipe: PreprocessingRecipe, *, margin_mm: float = MARGIN_MM
) -> Mask:
    """`(X, Y, Z)` bool on the voxels of `volume` as given: brain, ventricles and CSF inside the skull.

    Args:
        volume: NCCT or CTA in HU, in any orientation, with leaning slices or not.
        sequence: ncct or cta.
        recipe: a CT recipe; its working spacing and registration are used, its grid is not.
        margin_mm: how far the mask reaches beyond the inner table. 0 is best where the cavity is measured.

    Raises:
        CaseError: the reason why the scan cannot be used, as in the pipeline.
    """
    if sequence not in CT_SEQUENCES:
        raise CaseModalityWrong(f"a native mask is made of ncct or cta, got {sequence}")
    beyond_mm = _beyond_brain(volume, sequence, recipe)
    low, high = _INSIDE_SKULL_HU
    near = (beyond_mm <= _REACH_MM) & (volume.data_xyz > low) & (volume.data_xyz < high)
    background = constant_background(volume, _BACKGROUND_SHARE)
    outside = np.zeros_like(near) if background is None else background
    cavity = filled((near & ~outside) | (beyond_mm <= 0))
    return _with_margin(cavity, margin_mm, volume) & (~outside | cavity)


def _beyond_brain(volume: Volume, sequence: str, recipe: PreprocessingRecipe) -> Array:
    """`(X, Y, Z)` float32, distance in mm to the surface of the pipeline's mask, negative inside.

    Distances are interpolated from the working voxels, which gives a smooth surface at any voxel size.
    """
    history = History()
    scan = ct_scan(checked(volume, sequence, history), sequence, recipe, history)
    brain, rough = ct_brain_image(scan, sequence, recipe, history)
    tight = land(brain, rough, sequence, recipe, history).brain_xyz
    spacing = scan.working.spacing_mm
    signed = ndimage.distance_transform_edt(~tight, sampling=spacing)
    signed -= ndimage.distance_transform_edt(tight, sampling=spacing)
    # From voxel centres on either side to the surface between them.
    surface = scan.working.with_data(signed - np.sign(signed) * spacing.min() / 2)
    return resampled(surface, _shape(volume), volume.affine_ras, outside=99.0).data_xyz


def _with_margin(mask: Mask, margin_mm: float, volume: Volume) -> Mask:
    """Voxels of which the near face lies within `margin_mm` of `mask`; worked on in the mask's own box."""
    if margin_mm <= 0:
        return mask
    spacing = volume.spacing_mm
    reach = margin_mm + spacing.min() / 2
    box = tuple(
        slice(max(0, part.start - 1 - int(reach / size)), part.stop + 1 + int(reach / size))
        for part, size in zip(ndimage.find_objects(mask.astype(np.uint8))[0], spacing, strict=True)
    )
    wide = mask.copy()
    wide[box] = ndimage.distance_transform_edt(~mask[box], sampling=spacing) <= reach
    return wide


def _shape(volume: Volume) -> tuple[int, int, int]:
    x, y, z = volume.data_xyz.shape
    return x, y, z
