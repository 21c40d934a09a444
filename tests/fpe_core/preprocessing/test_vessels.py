from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fpe_core.config.recipe import Grid, PreprocessingRecipe, RegistrationSettings, VesselSettings, recipe_named
from fpe_core.data.phantoms.ct import artery_mask
from fpe_core.data.phantoms.generate import draw_cases, patient, render_case
from fpe_core.data.phantoms.spec import PhantomSite, Scanner
from fpe_core.errors import CaseModalityWrong, CaseSequenceMissing
from fpe_core.imaging.geometry import reorient_to_ras
from fpe_core.imaging.itk import sitk
from fpe_core.imaging.nifti import read_volume, write_volume
from fpe_core.imaging.volume import Array, Volume
from fpe_core.preprocessing.case import CaseFiles, preprocess_case
from fpe_core.preprocessing.processed import ProcessedCase
from fpe_core.preprocessing.resample import to_grid
from fpe_core.preprocessing.vessels import Head, check_own_vessels, find_vessels, vesselness

RECIPE = PreprocessingRecipe(
    name="vessels-test",
    modality="ct",
    grid=Grid(shape_zyx=(64, 80, 64), spacing_zyx_mm=(1.6, 1.6, 1.65), centre_ras_mm=(0.0, -5.0, 12.0)),
    working_spacing_mm=4.0,
    registration=RegistrationSettings(
        spacing_mm=6, iterations=(100, 100, 40), shrink_factors=(2, 2, 1), sampling_rate=0.4
    ),
    vessels=VesselSettings(spacing_mm=0.8),
)
SITE = PhantomSite(
    name="vessels",
    num_cases=1,
    modality="ct",
    scanner=Scanner(
        spacing_mm=0.8, thickness_mm=5.0, cta_thickness_mm=1.0, arterial_hu=330.0, venous_hu=180.0, tilt_deg=6.0
    ),
)
LIMIT = 0.80
"""Least overlap with the phantom's true arteries."""
BONE_HU = 700.0


@dataclass(frozen=True)
class Patient:
    """A phantom's files, and its true arteries on the CTA's voxels."""

    images: dict[str, Path]
    truth: Volume

    def arteries(self, case: ProcessedCase) -> Array:
        truth = reorient_to_ras(self.truth)
        return to_grid(truth, RECIPE.grid, case.mni_from_native["cta"], outside=0.0) * (case.mask > 0)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Patient:
    folder = tmp_path_factory.mktemp("vessels")
    case = draw_cases(SITE, seed=5)[0]
    names = render_case(folder, SITE, case)
    rng = np.random.default_rng(case.seed)
    mask, grid = artery_mask(*patient(SITE, case, rng), SITE.scanner, rng)
    images = {name: folder / path for name, path in names.items()}
    # A phantom's skull hides the artery inside it: there is nothing to find.
    mask &= read_volume(images["cta"]).data_xyz < BONE_HU
    return Patient(images, Volume(mask.astype(np.float32), grid.affine_ras))


@pytest.fixture(scope="module")
def found(phantom: Patient) -> ProcessedCase:
    return preprocess_case(CaseFiles("c1", phantom.images), RECIPE)


def share_dice(first: Array, second: Array) -> float:
    return float(2 * np.minimum(first, second).sum() / (first.sum() + second.sum()))


def test_the_truth_lies_on_the_ctas_voxels_and_is_bright_there(phantom: Patient) -> None:
    cta = read_volume(phantom.images["cta"])
    assert cta.data_xyz.shape == phantom.truth.data_xyz.shape
    assert np.allclose(cta.affine_ras, phantom.truth.affine_ras, atol=1e-4)
    inside = cta.data_xyz[phantom.truth.data_xyz > 0]
    assert (inside > 90).mean() > 0.95
    assert 280 < np.median(inside) < 400


def test_arteries_are_found(phantom: Patient, found: ProcessedCase) -> None:
    truth, vessels = phantom.arteries(found), found.volumes["vessels"]
    assert vessels.dtype == np.float32
    assert vessels.min() >= 0
    assert vessels.max() <= 1
    assert not vessels[found.mask == 0].any()
    assert share_dice(vessels, truth) > LIMIT
    assert found.provenance.qc["vessels_ml"] > 1
    assert np.array_equal(found.mni_from_native["vessels"], found.mni_from_native["cta"])


def test_the_sagittal_sinus_is_no_artery(found: ProcessedCase) -> None:
    z, h, w = np.indices(found.mask.shape)
    places = np.tensordot(found.affine_ras, np.stack([w, h, z, np.ones_like(w)]), axes=1)
    sinus = (abs(places[0]) < 6) & (places[2] > 58)
    assert (found.unmasked["cta"][sinus] > 0.35).any()
    assert not found.unmasked["vessels"][sinus].any()


def test_without_an_ncct_bone_is_known_from_the_cta(phantom: Patient) -> None:
    case = preprocess_case(CaseFiles("c1", {"cta": phantom.images["cta"]}), RECIPE)
    assert share_dice(case.volumes["vessels"], phantom.arteries(case)) > 0.7


def test_a_sites_own_mask_takes_the_place(phantom: Patient, tmp_path: Path) -> None:
    write_volume(phantom.truth, tmp_path / "own.nii.gz")
    case = preprocess_case(CaseFiles("c1", {**phantom.images, "vessels": tmp_path / "own.nii.gz"}), RECIPE)
    assert np.allclose(case.volumes["vessels"], phantom.arteries(case), atol=1e-5)
    assert "vessels" in case.provenance.inputs
    assert {"vessels"} <= {step["sequence"] for step in case.provenance.history}


def test_vesselness_is_itks_objectness() -> None:
    rng = np.random.default_rng(0)
    hu = rng.normal(40, 30, (30, 34, 28)).astype(np.float32)
    spacing_mm, scale_mm = 0.7, 1.3
    image = sitk.GetImageFromArray(np.ascontiguousarray(hu.transpose(2, 1, 0)))
    image.SetSpacing([spacing_mm] * 3)
    measure = sitk.ObjectnessMeasureImageFilter()
    measure.SetObjectDimension(1)
    measure.SetBrightObject(True)
    measure.SetScaleObjectnessMeasure(True)
    measure.SetGamma(5.0 / scale_mm**2)
    theirs = sitk.GetArrayFromImage(measure.Execute(sitk.SmoothingRecursiveGaussian(image, scale_mm)))
    ours = vesselness(hu, np.ones(hu.shape, dtype=np.bool_), spacing_mm, (scale_mm,))
    inner = (slice(2, -2),) * 3
    assert theirs.max() > 1
    assert np.allclose(ours[inner], theirs.transpose(2, 1, 0)[inner] * scale_mm**2, atol=1e-3)


def test_a_tube_is_seen_and_a_plate_and_a_blob_are_not() -> None:
    x, y, z = np.indices((41, 41, 41)) - 20.0
    everywhere = np.ones(x.shape, dtype=np.bool_)
    bodies = {"tube": np.hypot(x, y) < 2, "plate": abs(x) < 2, "blob": np.sqrt(x**2 + y**2 + z**2) < 2}
    seen = {
        name: float(vesselness(np.where(body, 300.0, 40.0).astype(np.float32), everywhere, 1.0, (1.5,))[20, 20, 20])
        for name, body in bodies.items()
    }
    assert seen["tube"] > 30
    assert seen["plate"] < 0.1 * seen["tube"]
    assert seen["blob"] < 0.5 * seen["tube"]


def test_the_same_scan_gives_the_same_vessels(phantom: Patient, found: ProcessedCase) -> None:
    cta = reorient_to_ras(read_volume(phantom.images["cta"]))
    mask = Volume(found.mask.transpose(2, 1, 0).astype(np.float32), found.affine_ras)
    matrix = found.mni_from_native["cta"]
    head = Head(brain=mask, brain_from_cta=matrix, mni_from_cta=matrix, ncct=None)
    settings = VesselSettings(spacing_mm=1.5, scales_mm=(1.5,))
    first, second = find_vessels(cta, head, settings), find_vessels(cta, head, settings)
    assert first.data_xyz.any()
    assert first.data_xyz.tobytes() == second.data_xyz.tobytes()


def test_no_cta_or_no_settings_give_no_vessels(phantom: Patient) -> None:
    ncct = preprocess_case(CaseFiles("c1", {"ncct": phantom.images["ncct"]}), RECIPE)
    assert set(ncct.volumes) == {"ncct"}
    plain = RECIPE.model_copy(update={"vessels": None})
    both = CaseFiles("c1", {**phantom.images, "vessels": Path("never-read.nii.gz")})
    assert set(both.for_recipe(plain)) == {"ncct", "cta"}
    assert set(preprocess_case(both, plain).volumes) == {"ncct", "cta"}


def test_a_cta_without_contrast_has_no_vessels(phantom: Patient) -> None:
    ncct = read_volume(phantom.images["ncct"])
    path = phantom.images["ncct"].with_name("without.nii.gz")
    write_volume(ncct, path)
    case = preprocess_case(CaseFiles("c1", {"ncct": phantom.images["ncct"], "cta": path}), RECIPE)
    assert case.provenance.qc["vessels_ml"] == 0


def volume(*, value: float = 1.0, shift_mm: float = 0.0, size: int = 4) -> Volume:
    affine = np.eye(4)
    affine[0, 3] = shift_mm
    return Volume(np.full((size, 4, 4), value, dtype=np.float32), affine)


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (volume(size=5), r"lie on the CTA's voxels, \(4, 4, 4\), got \(5, 4, 4\)"),
        (volume(shift_mm=2.0), "at another place"),
        (volume(value=0.5), "holds 0 and 1 only"),
    ],
)
def test_a_mask_that_is_not_the_ctas_is_refused(mask: Volume, says: str) -> None:
    with pytest.raises(CaseModalityWrong, match=says):
        check_own_vessels(mask, volume())


def test_a_mask_needs_its_cta(phantom: Patient, tmp_path: Path) -> None:
    write_volume(phantom.truth, tmp_path / "own.nii.gz")
    files = CaseFiles("c1", {"ncct": phantom.images["ncct"], "vessels": tmp_path / "own.nii.gz"})
    with pytest.raises(CaseSequenceMissing, match="needs the CTA"):
        preprocess_case(files, RECIPE)


def test_the_grids_for_three_dimensional_networks_cover_the_same_box() -> None:
    printed, small = recipe_named("daft-ct").grid, recipe_named("daft-ct-small").grid
    assert printed.shape_zyx == (258, 295, 246)
    extents = [np.multiply(grid.shape_zyx, grid.spacing_zyx_mm) for grid in (printed, small)]
    assert extents[0] == pytest.approx(extents[1])
    assert printed.centre_ras_mm == small.centre_ras_mm
    assert min(small.shape_zyx) >= 48
    assert recipe_named("daft-ct").sequences == ("ncct", "cta", "vessels")
    assert recipe_named("mnt-dl-ct").sequences == ("ncct", "cta")
