import numpy as np
import pytest

from fpe_core.config.recipe import Grid
from fpe_core.data.regional import RegionMasks, restrict
from fpe_core.imaging.territories import load_territories, region_mask

GRID = Grid(shape_zyx=(20, 32, 32), spacing_zyx_mm=(8.0, 7.0, 7.0))


def test_the_image_stays_inside_the_region_and_is_zero_outside() -> None:
    mask = RegionMasks(GRID).of("m1")
    image = np.random.default_rng(0).normal(size=(2, *GRID.shape_zyx)).astype(np.float32)
    seen = restrict(image, mask)
    assert seen.dtype == np.float32
    assert np.array_equal(seen[:, mask], image[:, mask])
    assert not seen[:, ~mask].any()
    assert 0.1 < mask.mean() < 0.6


def test_each_site_has_its_region_which_is_computed_once() -> None:
    regions = RegionMasks(GRID)
    territories = load_territories(GRID)
    assert np.array_equal(regions.of("ica"), region_mask(territories, "ica"))
    assert regions.of("ica") is regions.of("ica")
    assert regions.fingerprint == territories.fingerprint
    assert (regions.of("m1") <= regions.of("ica")).all()
    assert (regions.of("aca") <= regions.of("ica")).all()


def test_an_image_on_other_voxels_is_refused() -> None:
    with pytest.raises(ValueError, match="the region is for images of"):
        restrict(np.zeros((1, 3, 3, 3), np.float32), RegionMasks(GRID).of("pca"))
