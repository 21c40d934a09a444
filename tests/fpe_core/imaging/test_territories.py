import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from fpe_core.config.recipe import Grid, recipe_named
from fpe_core.errors import DataError
from fpe_core.imaging.geometry import grid_affine_ras, inverted
from fpe_core.imaging.nifti import write_volume
from fpe_core.imaging.template import load_template
from fpe_core.imaging.territories import LABELS, SUPPLIED_BY, Territories, load_territories, region_mask
from fpe_core.imaging.territory_borders import ACA, BASILAR, MCA, PCA, PICA, hemisphere_map
from fpe_core.imaging.volume import Volume
from fpe_core.preprocessing.quality import template_on

COARSE = Grid(shape_zyx=(45, 60, 48), spacing_zyx_mm=(4.0, 4.0, 4.0))
LANDMARKS = {
    "anterior cingulate": ((5, 35, 20), "aca"),
    "genu of the corpus callosum": ((3, 26, 4), "aca"),
    "gyrus rectus": ((6, 35, -22), "aca"),
    "paracentral lobule": ((7, -30, 65), "aca"),
    "precuneus": ((7, -58, 45), "aca"),
    "superior frontal gyrus": ((14, 20, 58), "aca"),
    "insula": ((38, 5, 0), "mca"),
    "putamen": ((26, 4, 2), "mca"),
    "caudate body": ((14, 2, 18), "mca"),
    "inferior frontal gyrus": ((50, 20, 15), "mca"),
    "hand knob": ((38, -25, 57), "mca"),
    "superior temporal gyrus": ((58, -20, 2), "mca"),
    "temporal pole": ((42, 14, -30), "mca"),
    "angular gyrus": ((46, -60, 34), "mca"),
    "thalamus": ((11, -18, 7), "pca"),
    "calcarine cortex": ((9, -82, 6), "pca"),
    "cuneus": ((8, -84, 24), "pca"),
    "occipital pole": ((16, -100, 0), "pca"),
    "fusiform gyrus": ((36, -50, -18), "pca"),
    "hippocampus, body": ((28, -25, -12), "pca"),
    "splenium": ((5, -38, 12), "pca"),
    "pons": ((5, -24, -30), "basilar"),
    "midbrain": ((6, -24, -14), "basilar"),
    "culmen": ((6, -52, -8), "basilar"),
    "middle cerebellar peduncle": ((22, -40, -34), "basilar"),
    "cerebellar tonsil": ((10, -52, -54), "pica"),
    "posterior inferior cerebellum": ((24, -76, -48), "pica"),
}


def label_at(territories: Territories, grid: Grid, place_mm: tuple[float, float, float]) -> tuple[str, str]:
    w, h, z = np.rint((inverted(grid_affine_ras(grid)) @ [*place_mm, 1.0])[:3]).astype(int)
    return LABELS[int(territories.labels_zyx[z, h, w])]


def mirrored(place_mm: tuple[float, float, float]) -> tuple[float, float, float]:
    return -place_mm[0], place_mm[1], place_mm[2]


@pytest.fixture(scope="module")
def fine() -> tuple[Territories, Grid]:
    grid = Grid(shape_zyx=(170, 200, 160), spacing_zyx_mm=(1.0, 1.0, 1.0))
    return load_territories(grid), grid


@pytest.mark.parametrize("name", LANDMARKS)
def test_structures_lie_in_the_territory_that_feeds_them(fine: tuple[Territories, Grid], name: str) -> None:
    place, territory = LANDMARKS[name]
    assert label_at(*fine, place) == (territory, "right")
    assert label_at(*fine, mirrored(place)) == (territory, "left")


@pytest.mark.parametrize("recipe", ["mnt-dl-mr", "mnt-dl-ct-small"])
def test_every_voxel_of_the_brain_has_one_territory_and_the_sides_mirror(recipe: str) -> None:
    grid = recipe_named(recipe).grid
    labels = load_territories(grid).labels_zyx
    _, brain = template_on(grid, load_template(1))
    assert labels.shape == grid.shape_zyx
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) == {0, *LABELS}
    assert (labels[brain] > 0).all()
    right_first = np.where(labels % 2 == 1, labels - 1, labels + 1)[:, :, ::-1]
    assert np.array_equal(np.where(labels > 0, labels, 1), right_first)


def test_each_territory_is_in_one_piece() -> None:
    territory, _ = hemisphere_map()
    right = territory[98:]
    for number in (ACA, MCA, PCA, PICA, BASILAR):
        assert ndimage.label(right == number)[1] == 1


def test_shares_of_the_cerebrum_are_near_the_measured_flow() -> None:
    """Zarrinkoob et al., JCBFM 2015: 12, 21 and 8 % of the flow to each ACA, MCA and PCA."""
    territory, _ = hemisphere_map()
    volumes = np.array([(territory == number).sum() for number in (ACA, MCA, PCA)])
    assert volumes / volumes.sum() == pytest.approx([0.29, 0.51, 0.20], abs=0.08)


def test_the_map_is_the_same_every_time() -> None:
    first, second = load_territories(COARSE), load_territories(COARSE)
    assert np.array_equal(first.labels_zyx, second.labels_zyx)
    assert first.fingerprint == second.fingerprint
    assert len(first.fingerprint) == 64


@pytest.mark.parametrize("site", SUPPLIED_BY)
def test_the_region_is_the_occluded_vessels_territory_on_both_sides(site: str) -> None:
    territories = load_territories(COARSE)
    bare = region_mask(territories, site, times_dilated=0)
    names = {LABELS[int(label)] for label in np.unique(territories.labels_zyx[bare])}
    assert names == {(name, side) for name in SUPPLIED_BY[site] for side in ("left", "right")}
    assert np.array_equal(bare, bare[:, :, ::-1])


def test_dilation_adds_two_voxels_within_the_slice_and_none_across() -> None:
    labels = np.zeros((3, 9, 9), dtype=np.uint8)
    labels[1, 4, 4] = 4
    region = region_mask(Territories(labels, ""), "m1")
    h, w = np.indices((9, 9))
    assert np.array_equal(region[1], abs(h - 4) + abs(w - 4) <= 2)
    assert not region[[0, 2]].any()


def test_an_unknown_site_is_refused() -> None:
    with pytest.raises(ValueError, match="occlusion_site should be one of ica"):
        region_mask(load_territories(COARSE), "m9")


def write_atlas(folder: Path, *, keep: float = 1.0, without: int | None = None, name: str = "mca") -> Path:
    """The own map under other numbers, mirrored in the file's axes; `keep` is the share of it from below."""
    territory, affine = hemisphere_map()
    labels = np.where(territory > 0, 10 * territory.astype(np.float32), 0)
    labels[:98] += labels[:98] > 0
    labels[:, :, int(keep * labels.shape[2]) :] = 0
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    flip[0, 3] = labels.shape[0] - 1
    write_volume(Volume(np.ascontiguousarray(labels[::-1], dtype=np.float32), affine @ flip), folder / "atlas.nii.gz")
    names = {1: "aca", 2: name, 3: "pca", 4: "pica", 5: "basilar"}
    entries = {10 * n + left: {"name": t, "side": ("right", "left")[left]} for n, t in names.items() for left in (0, 1)}
    entries.pop(without, None)
    (folder / "atlas.json").write_text(json.dumps(entries))
    return folder / "atlas.nii.gz"


def test_a_sites_own_atlas_takes_the_maps_place(tmp_path: Path) -> None:
    own, swapped = load_territories(COARSE), load_territories(COARSE, write_atlas(tmp_path))
    brain = template_on(COARSE, load_template(1))[1]
    assert (own.labels_zyx == swapped.labels_zyx)[brain].mean() > 0.999
    assert own.fingerprint != swapped.fingerprint


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"keep": 0.6}, "at least 95% of the MNI152 brain"),
        ({"name": "pcoma"}, "name should be one of aca, mca"),
        ({"without": 31}, "no label for left pca"),
    ],
)
def test_an_atlas_that_does_not_fit_is_refused(tmp_path: Path, options: dict[str, object], says: str) -> None:
    with pytest.raises(DataError, match=says):
        load_territories(COARSE, write_atlas(tmp_path, **options))  # type: ignore[arg-type]


def test_an_atlas_without_names_or_file_is_refused(tmp_path: Path) -> None:
    path = write_atlas(tmp_path)
    (tmp_path / "atlas.json").unlink()
    with pytest.raises(DataError, match=r"atlas\.json: missing"):
        load_territories(COARSE, path)
    (tmp_path / "atlas.json").write_text("[1, 2]")
    with pytest.raises(DataError, match="not a list of labels"):
        load_territories(COARSE, path)
    write_atlas(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=r"vascular atlas: .*no such file"):
        load_territories(COARSE, path)
