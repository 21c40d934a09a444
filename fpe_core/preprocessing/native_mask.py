"""The brain mask of one scan on the scan's own voxels, from vertex to foramen magnum."""

import numpy as np
from scipy import ndimage

from fpe_core.config.recipe import PreprocessingRecipe
from fpe_core.imaging.geometry import resampled
from fpe_core.imaging.volume import Mask, Volume
from fpe_core.preprocessing.check import CT_SEQUENCES
from fpe_core.preprocessing.history import History
from fpe_core.preprocessing.inner_table import beyond_surface_mm, cranial_cavity
from fpe_core.preprocessing.pipeline import land
from fpe_core.preprocessing.pipeline_ct import ct_brain_image
from fpe_core.preprocessing.pipeline_mr import mr_brain_image
from fpe_core.preprocessing.sequence import checked, ct_scan, mr_scan

MARGIN_MM = 1.0
"""Default margin in CT. The half-height border cuts each voxel that it passes; a mask that is applied to a scan should
rather keep a rim of bone than lose cortex."""


def native_brain_mask(
    volume: Volume, sequence: str, recipe: PreprocessingRecipe, *, margin_mm: float = MARGIN_MM
) -> Mask:
    """`(X, Y, Z)` bool on the voxels of `volume` as given: brain, ventricles and CSF; in CT up to the skull.

    Args:
        volume: in any orientation; CT in HU, with leaning slices or not.
        sequence: ncct, cta, b0, dwi, flair or adc.
        recipe: of the sequence's modality; its working spacing and registration are used, its grid is not.
        margin_mm: how far the mask of a CT reaches beyond the inner table. 0 is best where the cavity is measured.

    Raises:
        CaseError: the reason why the scan cannot be used, as in the pipeline.
    """
    working, tight = _tight(volume, sequence, recipe)
    # Distances are interpolated from the working voxels, which gives a smooth surface at any voxel size.
    surface = working.with_data(beyond_surface_mm(tight, working.spacing_mm))
    beyond_mm = resampled(surface, _shape(volume), volume.affine_ras, outside=99.0).data_xyz
    if sequence not in CT_SEQUENCES:
        return np.asarray(beyond_mm <= 0)
    return _with_margin(cranial_cavity(volume, beyond_mm), margin_mm, volume)


def _tight(volume: Volume, sequence: str, recipe: PreprocessingRecipe) -> tuple[Volume, Mask]:
    """The working image and the mask on it that the pipeline registers with."""
    history = History()
    ready = checked(volume, sequence, history)
    if sequence in CT_SEQUENCES:
        scan = ct_scan(ready, sequence, recipe, history)
        brain, rough = ct_brain_image(scan, sequence, recipe, history)
    else:
        scan = mr_scan(ready, sequence, recipe, history)
        found = mr_brain_image(scan, sequence, recipe, history)
        brain, rough = found.image, found.mask_xyz
    return scan.working, land(brain, rough, sequence, recipe, history).brain_xyz


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
