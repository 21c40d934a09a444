"""Regional input: the network sees the vascular territory of the occluded vessel, on both sides, and nothing else."""

from pathlib import Path

import numpy as np

from fpe_core.config.recipe import Grid
from fpe_core.imaging.territories import load_territories, region_mask
from fpe_core.imaging.volume import Array, Mask


def restrict(image: Array, mask_zyx: Mask) -> Array:
    """`image` `(C, Z, H, W)` float32 with 0 outside `mask_zyx` `(Z, H, W)` bool.

    Raises:
        ValueError: the mask is not on the image's voxels.
    """
    if image.shape[1:] != mask_zyx.shape:
        raise ValueError(f"the region is for images of {mask_zyx.shape} voxels, got {image.shape[1:]}")
    return np.where(mask_zyx, image, np.float32(0))


class RegionMasks:
    """The regions of all occlusion sites on one grid, each computed when it is first asked for.

    Args:
        grid: of the recipe.
        atlas: a site's own atlas, see `load_territories`.

    Raises:
        DataError: see `load_territories`.
    """

    def __init__(self, grid: Grid, atlas: Path | None = None) -> None:
        self._territories = load_territories(grid, atlas)
        self._masks: dict[str, Mask] = {}

    @property
    def fingerprint(self) -> str:
        """sha256 of the map, `Territories.fingerprint`."""
        return self._territories.fingerprint

    def of(self, occlusion_site: str) -> Mask:
        """`(Z, H, W)` bool, see `region_mask`; not to be written to.

        Raises:
            ValueError: no such site. A case whose site is unknown has no region and cannot be used.
        """
        if occlusion_site not in self._masks:
            self._masks[occlusion_site] = region_mask(self._territories, occlusion_site)
        return self._masks[occlusion_site]
