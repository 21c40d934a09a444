"""Phantom patients as a PACS exports them: readable by others, the same every time, and true to the phantom."""

import hashlib
from pathlib import Path

import numpy as np
import pydicom
import pytest

from fpe_core.data.phantoms import PhantomSite, Scanner, generate_site
from fpe_core.data.phantoms.dicom import ExportedSeries, PhantomPatient, write_pacs_export
from fpe_core.data.phantoms.dicom_series import tilted
from fpe_core.imaging.dicom.series import FolderScan, scan_folder
from fpe_core.imaging.dicom.volume import read_series
from fpe_core.imaging.geometry import reorient_to_ras
from fpe_core.imaging.nifti import read_volume
from fpe_core.imaging.volume import Volume

SCANNER = Scanner(spacing_mm=3.0, thickness_mm=6.0, cta_thickness_mm=3.0)
Export = tuple[Path, list[ExportedSeries]]


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> list[PhantomPatient]:
    patients = []
    for modality, orientation in (("ct", "LPS"), ("mr", "LAS")):
        folder = tmp_path_factory.mktemp(modality)
        scanner = SCANNER.model_copy(update={"orientation": orientation})
        generate_site(folder, PhantomSite(name=modality, num_cases=1, modality=modality, scanner=scanner), seed=3)
        scans = sorted((folder / "scans").glob(f"{modality}-*.nii.gz"))
        patients.append(PhantomPatient(f"{modality}-0001", {s.name[:-7].split("_")[1]: s for s in scans}))
    return patients


@pytest.fixture(scope="module")
def export(patients: list[PhantomPatient], tmp_path_factory: pytest.TempPathFactory) -> Export:
    folder = tmp_path_factory.mktemp("export")
    return folder, write_pacs_export(folder, patients, seed=5)


@pytest.fixture(scope="module")
def found(export: Export) -> FolderScan:
    return scan_folder(export[0])


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_writes_the_same_bytes(patients, export, tmp_path):
    write_pacs_export(tmp_path / "again", patients, seed=5)
    assert contents(tmp_path / "again") == contents(export[0])
    write_pacs_export(tmp_path / "other", patients, seed=6)
    assert not set(contents(tmp_path / "other").values()) & set(contents(export[0]).values())


def test_names_of_files_say_nothing(export):
    folder, _ = export
    for name in contents(folder):
        assert name == "DICOMDIR" or all(c in "0123456789ABCDEF/" for c in name.removeprefix("DICOM/"))


def test_the_scan_finds_every_series_that_was_written(export, found):
    _, written = export
    images = {one.series_uid for one in written if one.role not in ("dose", "picture")}
    assert {one.series_key for one in found.series} == images
    assert {refused.code for refused in found.refused} == {"FPE-213"}
    assert sorted(ignored.reason for ignored in found.ignored) == ["a DICOM object without an image"] * 2 + [
        "a DICOMDIR"
    ]
    assert len({one.patient_key for one in found.series}) == 2


@pytest.mark.parametrize("role", ["ncct", "cta", "dwi", "adc", "flair"])
def test_every_sequence_comes_back_as_the_phantom_had_it(patients, export, found, role):
    written = next(one for one in export[1] if one.role == role)
    phantom = next(patient for patient in patients if role in patient.images)
    series = [one for one in found.series if one.series_key == written.series_uid]
    original = reorient_to_ras(read_volume(phantom.images[role]))
    read = reorient_to_ras(read_series(series[-1]).volume)
    np.testing.assert_allclose(read.affine_ras, original.affine_ras, atol=1e-3)
    scale = 1e6 if role == "adc" and original.data_xyz.max() < 100 else 1
    np.testing.assert_allclose(read.data_xyz, original.data_xyz * scale, atol=0.51)


def test_diffusion_has_both_weightings_of_one_tissue(export, found):
    by_b, adc = {}, None
    for one in found.series:
        if one.attributes.b_value is not None:
            by_b[one.attributes.b_value] = read_series(one).volume
        elif "ADC" in one.attributes.image_type:
            adc = read_series(one).volume
    assert set(by_b) == {0.0, 1000.0}
    assert adc is not None
    bright = by_b[1000.0].data_xyz > 50
    expected = by_b[0.0].data_xyz * np.exp(-adc.data_xyz / 1000)
    np.testing.assert_allclose(by_b[1000.0].data_xyz[bright], expected[bright], atol=1.5)


def test_the_made_up_patient_is_in_every_header(export):
    for one in export[1]:
        for path in one.files[:2]:
            header = pydicom.dcmread(path, stop_before_pixels=True)
            assert (str(header.PatientName), header.PatientID) == (one.study.name, one.study.patient_id)
            assert (header.PatientBirthDate, header.StudyDate) == (one.study.birth_date, one.study.date)


def test_a_tilted_scan_shows_the_same_head():
    affine = np.diag([2.0, 2.0, 4.0, 1.0])
    index = np.indices((20, 30, 20))
    scan = Volume((index[1] * 2.0 + index[2] * 4.0 * 3).astype(np.float32), affine)
    leaning = tilted(scan, tilt_deg=15)
    inside = (slice(None), slice(8, 22), slice(7, 13))
    where = leaning.affine_ras @ np.stack([*(i[inside].ravel() for i in index), np.ones(20 * 14 * 6)])
    np.testing.assert_allclose(leaning.data_xyz[inside].ravel(), where[1] + 3 * where[2], atol=1e-2)
    assert leaning.affine_ras[1, 2] == pytest.approx(0)
    assert leaning.affine_ras[2, 1] == pytest.approx(2 * np.sin(np.deg2rad(15)))
