"""The gate: healthy phantoms pass, spoiled ones do not, for the reason they were spoiled by."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from fpe_core.config.recipe import PreprocessingRecipe, recipe_named
from fpe_core.data.phantoms import generate_site
from fpe_core.data.phantoms.demo_sites import demo_sites
from fpe_core.errors import CaseQualityFailed, CaseRegistrationFailed, CaseRejected, CaseUnderReview
from fpe_core.imaging.geometry import reorient_to_ras
from fpe_core.imaging.nifti import read_volume
from fpe_core.imaging.volume import Volume
from fpe_core.preprocessing.decisions import decide
from fpe_core.preprocessing.gate import Verdict, judge, usable
from fpe_core.preprocessing.glance import glance
from fpe_core.preprocessing.history import History
from fpe_core.preprocessing.limits import LIMITS, NOT_MEASURED
from fpe_core.preprocessing.manifest import Manifest, ManifestEntry, Quarantine, write_lists
from fpe_core.preprocessing.measure import measure
from fpe_core.preprocessing.pipeline import Output
from fpe_core.preprocessing.pipeline_ct import run_ct
from fpe_core.preprocessing.pipeline_mr import run_mr

SEQUENCES = {"mr": ("dwi", "adc", "flair"), "ct": ("ncct", "cta")}
Images = dict[str, Volume]
DOCUMENT = Path(__file__).parents[3] / "docs" / "quality-control.md"


@dataclass(frozen=True)
class Patient:
    """A phantom's scans in RAS+, and what the pipeline made of them."""

    images: Images
    output: Output
    recipe: PreprocessingRecipe

    def judged(self, images: Images, output: Output | None = None) -> Verdict:
        """The verdict on other images that lie where the patient's own do."""
        found = output or self.output
        glances = {name: seen for name, image in images.items() if (seen := glance(image)) is not None}
        return judge(found.qc | measure(glances, found, self.recipe.grid), self.recipe.modality)


def processed(images: Images, recipe: PreprocessingRecipe) -> Output:
    return (run_mr if recipe.modality == "mr" else run_ct)(dict(images), recipe, History())


@pytest.fixture(scope="module")
def patients(tmp_path_factory) -> dict[str, tuple[Patient, Images]]:
    """Per modality a phantom, preprocessed, and another one's images."""
    found = {}
    for modality, names in SEQUENCES.items():
        folder = tmp_path_factory.mktemp(modality)
        site = demo_sites(2, modality)[1]
        generate_site(folder, site, seed=3)
        scans = [
            {n: reorient_to_ras(read_volume(next((folder / "scans").glob(f"*{i}_{n}.nii.gz")))) for n in names}
            for i in (1, 2)
        ]
        recipe = recipe_named(f"mnt-dl-{modality}-small")
        found[modality] = Patient(scans[0], processed(scans[0], recipe), recipe), scans[1]
    return found


@pytest.mark.parametrize("modality", ["mr", "ct"])
def test_a_healthy_phantom_passes(patients, modality):
    patient, _ = patients[modality]
    verdict = patient.judged(patient.images)
    assert (verdict.status, verdict.reasons) == ("pass", ())
    measured = {number.name for number in verdict.numbers}
    expected = {name for limit in LIMITS for name in limit.names() if name.endswith(SEQUENCES[modality])}
    reference = {"mr": "dwi", "ct": "ncct"}[modality]
    assert expected - measured == {f"same_side_{reference}"}


def turned(volume: Volume) -> Volume:
    """A header that says the head stands on its top and looks back."""
    return Volume(volume.data_xyz, np.diag([1.0, -1, -1, 1]) @ volume.affine_ras)


def taller(volume: Volume) -> Volume:
    """A header with the slices further apart than they are."""
    return Volume(volume.data_xyz, volume.affine_ras @ np.diag([1, 1, 1.35, 1]))


def mirrored(volume: Volume, axis: int = 0) -> Volume:
    return volume.with_data(np.flip(volume.data_xyz, axis))


def noisy(volume: Volume, deviation: float) -> Volume:
    return volume.with_data(volume.data_xyz + np.random.default_rng(0).normal(0, deviation, volume.data_xyz.shape))


def halved(volume: Volume, empty: float) -> Volume:
    data = volume.data_xyz.copy()
    data[:, :, data.shape[2] // 2 :] = empty
    return volume.with_data(data)


def moved(volume: Volume, chosen: slice) -> Volume:
    """Some slices turned by 8° and shifted by 8 mm."""
    data = volume.data_xyz.copy()
    for index in range(data.shape[2])[chosen]:
        plane = ndimage.rotate(data[:, :, index], 8, reshape=False, order=1, mode="nearest")
        data[:, :, index] = ndimage.shift(plane, 8 / volume.spacing_mm[:2], order=1, mode="nearest")
    return volume.with_data(data)


def darkened(volume: Volume) -> Volume:
    data = volume.data_xyz.copy()
    data[:, :, 1::3] *= 0.5
    return volume.with_data(data)


def ghosted(volume: Volume) -> Volume:
    return volume.with_data(volume.data_xyz + 0.25 * np.roll(volume.data_xyz, volume.data_xyz.shape[1] // 2, axis=1))


def windowed(volume: Volume) -> Volume:
    return volume.with_data(np.clip(volume.data_xyz, 0, 80))


def grey(volume: Volume, levels: int) -> Volume:
    top = float(np.percentile(volume.data_xyz, 99.9))
    return volume.with_data(np.round(volume.data_xyz / top * levels) / levels * top)


def every(change: Callable[[Volume], Volume]) -> Callable[[Images, Images], Images]:
    return lambda own, _other: {name: change(image) for name, image in own.items()}


def only(name: str, change: Callable[[Volume], Volume]) -> Callable[[Images, Images], Images]:
    return lambda own, _other: own | {name: change(own[name])}


REGISTERED = [
    ("mr", every(turned), "Q-06"),
    ("ct", every(turned), "Q-06"),
    ("mr", every(lambda image: mirrored(image, 2)), "Q-06"),
    ("ct", every(taller), "Q-26"),
    ("mr", only("flair", mirrored), "Q-08"),
    ("mr", lambda own, other: own | {"flair": other["flair"]}, "Q-08"),
    ("ct", lambda own, other: own | {"cta": other["cta"]}, "Q-08"),
]


@pytest.mark.parametrize(("modality", "spoil", "code"), REGISTERED)
def test_wrong_headers_and_foreign_images_do_not_pass_whatever_registration_makes_of_them(
    patients, modality, spoil, code
):
    patient, other = patients[modality]
    images = spoil(patient.images, other)
    try:
        verdict = patient.judged(images, processed(images, patient.recipe))
    except CaseRegistrationFailed:
        return
    assert verdict.status != "pass"
    assert code in verdict.reasons


IN_PLACE = [
    ("mr", only("adc", mirrored), "Q-08", "review"),
    ("mr", every(lambda image: halved(image, 0)), "Q-05", "fail"),
    ("ct", every(lambda image: halved(image, -1000)), "Q-05", "fail"),
    ("ct", only("ncct", lambda image: noisy(image, 30)), "Q-10", "fail"),
    ("mr", only("dwi", lambda image: noisy(image, 0.4 * float(np.percentile(image.data_xyz, 95)))), "Q-11", "fail"),
    ("mr", only("flair", lambda image: moved(image, slice(1, None, 2))), "Q-12", "review"),
    ("ct", only("ncct", lambda image: moved(image, slice(20, None))), "Q-13", "review"),
    ("mr", only("dwi", darkened), "Q-14", "fail"),
    ("mr", only("flair", ghosted), "Q-15", "review"),
    ("ct", only("ncct", windowed), "Q-16", "fail"),
    ("mr", only("dwi", lambda image: grey(image, 8)), "Q-17", "fail"),
    ("ct", only("ncct", lambda image: image.with_data(image.data_xyz + 1024)), "Q-18", "fail"),
    ("ct", only("cta", lambda image: image.with_data(image.data_xyz + 1024)), "Q-19", "fail"),
    ("ct", only("ncct", lambda image: image.with_data(image.data_xyz + 60)), "Q-20", "fail"),
    ("ct", only("cta", lambda image: image.with_data(image.data_xyz * 1.1)), "Q-21", "review"),
    ("ct", lambda own, _other: own | {"ncct": own["cta"]}, "Q-22", "fail"),
    ("ct", lambda own, _other: own | {"cta": own["ncct"]}, "Q-23", "fail"),
    ("ct", lambda own, _other: {"ncct": own["cta"], "cta": own["ncct"]}, "Q-22", "fail"),
]


@pytest.mark.parametrize(("modality", "spoil", "code", "status"), IN_PLACE)
def test_spoiled_images_do_not_pass(patients, modality, spoil, code, status):
    patient, other = patients[modality]
    verdict = patient.judged(spoil(patient.images, other))
    assert code in verdict.reasons
    assert verdict.status in (status, "fail")


@pytest.mark.parametrize("modality", ["mr", "ct"])
@pytest.mark.parametrize("shift_mm", [(15, 0, 0), (0, -15, 0), (0, 0, 15)])
def test_a_registration_that_misses_by_15_mm_fails(patients, modality, shift_mm):
    patient, _ = patients[modality]
    away = np.eye(4)
    away[:3, 3] = shift_mm
    places = {name: away @ place for name, place in patient.output.mni_from_native.items()}
    verdict = patient.judged(patient.images, replace(patient.output, mni_from_native=places))
    assert verdict.status == "fail"
    assert "Q-07" in verdict.reasons


@pytest.mark.parametrize("modality", ["mr", "ct"])
@pytest.mark.parametrize("turn", [(1, -1, -1), (-1, -1, 1)])
def test_a_registration_that_ends_upside_down_or_backwards_fails(patients, modality, turn):
    patient, _ = patients[modality]
    about_the_middle = np.diag([*turn, 1.0])
    about_the_middle[:3, 3] = (np.eye(3) - about_the_middle[:3, :3]) @ (0, -22, 10)
    places = {name: about_the_middle @ place for name, place in patient.output.mni_from_native.items()}
    verdict = patient.judged(patient.images, replace(patient.output, mni_from_native=places))
    assert verdict.status == "fail"
    assert "Q-06" in verdict.reasons


def test_an_adc_that_was_computed_is_measured_where_it_lies_on_the_grid(patients):
    patient, _ = patients["mr"]
    without = {name: image for name, image in patient.images.items() if name != "adc"}
    assert patient.judged(without).status == "pass"


def test_numbers_are_finite_for_a_scan_that_shows_nothing(patients):
    patient, _ = patients["ct"]
    empty = {name: image.with_data(np.zeros_like(image.data_xyz)) for name, image in patient.images.items()}
    numbers = measure({name: glance(image) for name, image in empty.items()}, patient.output, patient.recipe.grid)
    assert np.isfinite(list(numbers.values())).all()
    assert patient.judged(empty).status == "fail"


def test_a_sequence_without_a_finite_number_waits_for_a_person(patients):
    patient, _ = patients["mr"]
    glances = {name: glance(image) for name, image in patient.images.items()}
    response = glances["flair"].response
    nowhere = replace(glances["flair"], response=response.with_data(np.full_like(response.data_xyz, np.nan)))
    numbers = measure(glances | {"flair": nowhere}, patient.output, patient.recipe.grid)
    assert np.isfinite(list(numbers.values())).all()
    assert judge(patient.output.qc | numbers, "mr").reasons == ("Q-00",)


def test_a_glance_is_small_and_needs_a_possible_geometry(patients):
    patient, _ = patients["ct"]
    cta = patient.images["cta"]
    seen = glance(cta)
    assert seen is not None
    assert sum(part.data_xyz.nbytes for part in (seen.average, seen.sparse, seen.response)) < cta.data_xyz.nbytes / 4
    assert glance(Volume(cta.data_xyz, np.zeros((4, 4)))) is None
    assert glance(Volume(np.zeros((1, 2, 2), np.float32), np.eye(4))) is None


@pytest.mark.parametrize(
    ("qc", "expected"),
    [
        ({"template_dice": 0.95}, ("pass", ())),
        ({"template_dice": 0.88}, ("review", ("Q-02",))),
        ({"template_dice": 0.5, "rotation_deg": 40}, ("fail", ("Q-02", "Q-03"))),
        ({"template_dice": 0.88, "rotation_deg": 90}, ("fail", ("Q-03", "Q-02"))),
        ({"template_dice": float("nan")}, ("fail", ("Q-02",))),
        ({}, ("review", ("Q-00",))),
        ({"template_dice": 0.95, "similarity_dwi": 0.3}, ("review", ("Q-00",))),
        ({"template_dice": 0.95, "brain_hu_ncct": 400}, ("pass", ())),
    ],
)
def test_the_worst_number_decides_and_a_case_that_was_not_measured_waits(qc, expected):
    verdict = judge(qc, "mr")
    assert (verdict.status, verdict.reasons) == expected


def test_codes_are_unique_and_stand_in_the_document_with_their_limits():
    codes = [limit.code for limit in (NOT_MEASURED, *LIMITS)]
    assert len(set(codes)) == len(codes)
    rows = re.findall(r"^\| (Q-\d+) \| (.+?) \|.*\| (.+) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert {code: words for code, _, words in rows} == {
        limit.code: f"{limit.meaning} {limit.action}" for limit in (NOT_MEASURED, *LIMITS)
    }
    for limit, (_, title, _) in zip((NOT_MEASURED, *LIMITS), rows, strict=True):
        assert title.startswith(limit.title)


def test_every_usual_value_is_possible():
    for limit in LIMITS:
        for usual, possible, sign in zip(limit.usual, limit.possible, (1, -1), strict=True):
            assert (usual is None) == (possible is None), limit.code
            if usual is not None and possible is not None:
                assert sign * possible < sign * usual, limit.code


def test_only_cases_that_pass_or_that_a_person_accepted_are_usable(tmp_path):
    recipe = recipe_named("mnt-dl-mr-small")
    write_cohort(
        tmp_path,
        recipe,
        {"good": 0.95, "odd": 0.88, "bad": 0.5, "odd-seen": 0.88, "bad-seen": 0.5, "good-out": 0.95, "odd-out": 0.88},
    )
    decide(tmp_path, ["odd-seen", "bad-seen"], accepted=True)
    decide(tmp_path, ["good-out", "odd-out"], accepted=False, reason="metal")
    screened = usable(tmp_path, recipe)
    assert set(screened.files) == {"good", "odd-seen", "bad-seen"}
    assert screened.set_aside == {
        "odd": CaseUnderReview.code,
        "bad": CaseQualityFailed.code,
        "good-out": CaseRejected.code,
        "odd-out": CaseRejected.code,
    }
    assert all(path.is_file() for path in screened.files.values())


def write_cohort(folder: Path, recipe: PreprocessingRecipe, dice: dict[str, float]) -> None:
    entries = {}
    for case_id, value in dice.items():
        (folder / f"key-{case_id}.safetensors").write_bytes(b"")
        entries[case_id] = ManifestEntry(
            file=f"key-{case_id}.safetensors",
            sha256="0" * 64,
            recipe_fingerprint=recipe.fingerprint(),
            qc={"template_dice": value},
            seconds={},
        )
    write_lists(folder, Manifest(recipe=recipe.name, cases=entries), Quarantine())
