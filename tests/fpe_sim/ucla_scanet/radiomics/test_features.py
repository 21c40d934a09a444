"""Where features are measured: the side of the occlusion, its territories, and against the other side."""

import numpy as np
import pytest

from fpe_core.data.case_row import CaseRow
from fpe_core.errors import DataError
from fpe_core.imaging.territories import LABELS, Territories
from fpe_sim.ucla_scanet.radiomics.features import case_features
from fpe_sim.ucla_scanet.radiomics.regions import regions_of

SHAPE = (4, 12, 30)


@pytest.fixture
def territories() -> Territories:
    """Blocks: the posterior arteries behind, the anterior ones by the midline, the middle ones outside."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    label_of = {meaning: label for label, meaning in LABELS.items()}
    for side, half in (("right", slice(1, 15)), ("left", slice(15, 29))):
        labels[:, 1:8, half] = label_of["mca", side]
        labels[:, 8:11, half] = label_of["pca", side]
    labels[:, 1:8, 11:15] = label_of["aca", "right"]
    labels[:, 1:8, 15:19] = label_of["aca", "left"]
    return Territories(labels, "by hand")


def case(**changes: object) -> CaseRow:
    row = CaseRow(case_id="c", patient_id="p", images={}, occlusion_side="left", occlusion_site="m1")
    return row.model_copy(update=changes)


def test_the_occluded_side_is_that_of_the_patient(territories: Territories) -> None:
    brain = territories.labels_zyx > 0
    regions = regions_of(case(), brain, territories)
    assert {LABELS[label] for label in np.unique(territories.labels_zyx[regions.occluded])} == {("mca", "left")}
    assert {LABELS[label] for label in np.unique(territories.labels_zyx[regions.other])} == {("mca", "right")}
    np.testing.assert_array_equal(regions.brain, brain)
    other = regions_of(case(occlusion_side="right"), brain, territories)
    np.testing.assert_array_equal(other.occluded, regions.other)


@pytest.mark.parametrize(("site", "names"), [("ica", {"aca", "mca"}), (None, {"aca", "mca"}), ("m2", {"mca"})])
def test_territories_follow_from_the_vessel(site: str | None, names: set[str], territories: Territories) -> None:
    regions = regions_of(case(occlusion_site=site), territories.labels_zyx > 0, territories)
    assert {LABELS[label][0] for label in np.unique(territories.labels_zyx[regions.occluded])} == names


def test_an_unclear_side_and_an_empty_territory_are_refused(territories: Territories) -> None:
    with pytest.raises(DataError, match="the side of the stroke"):
        regions_of(case(occlusion_side=None), territories.labels_zyx > 0, territories)
    right = territories.labels_zyx > 0
    right[:, :, 15:] = False
    with pytest.raises(DataError, match="no voxel in the brain mask"):
        regions_of(case(), right, territories)


def test_a_dark_side_shows_against_the_other(territories: Territories) -> None:
    brain = territories.labels_zyx > 0
    volume = np.where(brain, np.random.default_rng(0).normal(0.5, 0.05, SHAPE), 0).astype(np.float32)
    regions = regions_of(case(), brain, territories)
    volume[regions.occluded] -= 0.1
    features = case_features({"ncct": volume, "cta": volume}, regions)
    assert features["ncct · against other side · mean"] == pytest.approx(-0.1, abs=0.01)
    assert features["ncct · against other side · standard deviation"] == pytest.approx(0, abs=0.01)
    assert features["cta · occluded side · mean"] == pytest.approx(0.4, abs=0.01)
    assert len(features) == 2 * 3 * 30
    assert np.isfinite(list(features.values())).all()
