"""A folder becomes series of one volume each; what is no image is listed and what is odd stops nothing."""

import dataclasses
import hashlib
import os
import shutil
import tracemalloc
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest

from fpe_core.data.phantoms.dicom_series import PhantomStudy
from fpe_core.errors import ImportFailed
from fpe_core.imaging.dicom.series import scan_folder
from fpe_core.imaging.dicom.volume import read_series

PATIENT = PhantomStudy()


def test_a_series_says_what_it_is_and_whose(write_dicom, only_series):
    paths = write_dicom(description="Kopf nativ", number=3, elements={"ConvolutionKernel": ["J40s", "3"]})
    series = only_series()
    seen = series.attributes
    assert (seen.modality, seen.description, seen.kernel, seen.number) == ("CT", "Kopf nativ", "J40s\\3", 3)
    assert (seen.num_slices, seen.spacing_mm, seen.slice_thickness_mm) == (10, (1.5, 2.0, 5.0), 5.0)
    assert seen.time_s == 2 * 3600 + 17 * 60
    assert (series.patient_key, series.acquired_on) == ("PID-0042", date(2024, 2, 29))
    assert series.files == tuple(sorted(paths))


def test_attributes_and_repr_name_nobody(write_dicom, only_series, tmp_path):
    write_dicom(description="Kopf")
    series = only_series()
    names = [str(value) for value in dataclasses.asdict(PATIENT).values() if len(str(value)) > 1]
    for text in (repr(series.attributes), repr(series)):
        assert not [name for name in [*names, series.study_key, str(tmp_path)] if name in text]


def test_files_without_extension_and_preamble_are_known_by_their_content(write_dicom, only_series, assert_placed):
    for index, path in enumerate(write_dicom()):
        content = path.read_bytes()
        if index % 2:
            path.write_bytes(content[132:])
        else:
            dataset = pydicom.dcmread(path)
            # What remains of a data set that was cut out of a network message: implicit, no meta header at all.
            with path.open("wb") as file:
                pydicom.filewriter.write_dataset(_implicit(file), dataset)
        path.rename(path.with_name(f"{index:08X}"))
    assert_placed(read_series(only_series()).volume)


def _implicit(file):
    out = pydicom.filebase.DicomFileLike(file)
    out.is_implicit_VR, out.is_little_endian = True, True
    return out


def test_other_files_are_ignored_with_a_reason(write_dicom, tmp_path):
    write_dicom()
    export = tmp_path / "export"
    (export / "README.TXT").write_text("exported by the archive\n")
    (export / "picture.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(500))
    (export / "short").write_bytes(b"\x08\x00")
    os.mkfifo(export / "pipe")
    report = pydicom.dcmread(next(export.glob("IM*")))
    for keyword in ("Rows", "Columns", "PixelData"):
        del report[keyword]
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.67"
    report.save_as(export / "report")
    found = scan_folder(export)
    assert len(found.series) == 1
    assert not found.refused
    assert {ignored.path.name: ignored.reason for ignored in found.ignored} == {
        "README.TXT": "not DICOM",
        "picture.jpg": "not DICOM",
        "short": "not DICOM",
        "pipe": "not a file",
        "report": "a DICOM object without an image",
    }


def test_links_are_not_followed(write_dicom, tmp_path):
    write_dicom()
    write_dicom(folder="elsewhere", number=2)
    export = tmp_path / "export"
    (export / "loop").symlink_to(export, target_is_directory=True)
    (export / "outside").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (export / "slice").symlink_to(next((tmp_path / "elsewhere").iterdir()))
    (export / "nowhere").symlink_to(tmp_path / "none")
    found = scan_folder(export)
    assert [series.attributes.number for series in found.series] == [1]
    assert {ignored.path.name for ignored in found.ignored} == {"loop", "outside", "slice", "nowhere"}


def test_scanning_changes_nothing_and_finds_the_same_again(write_dicom, tmp_path):
    paths = write_dicom() + write_dicom(number=2)
    before = {path: (hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns) for path in paths}
    assert scan_folder(tmp_path / "export") == scan_folder(tmp_path / "export")
    assert {p: (hashlib.sha256(p.read_bytes()).digest(), p.stat().st_mtime_ns) for p in paths} == before
    with pytest.raises(ImportFailed):
        scan_folder(tmp_path / "none")


@pytest.mark.parametrize("b_tag", ["standard", "siemens", "ge", "philips"])
@pytest.mark.parametrize("multi_frame", [False, True])
def test_b_values_of_one_series_come_apart(place, write_dicom, tmp_path, assert_placed, b_tag, multi_frame):
    scan = place()
    write_dicom({0.0: scan, 1000.0: scan.with_data(scan.data_xyz / 2)}, modality="MR", b_tag=b_tag,
                multi_frame=multi_frame)  # fmt: skip
    series = scan_folder(tmp_path / "export").series
    assert [one.attributes.b_value for one in series] == [0.0, 1000.0]
    assert [one.attributes.num_slices for one in series] == [10, 10]
    plain, weighted = (read_series(one).volume for one in series)
    assert_placed(plain)
    assert_placed(weighted.with_data(weighted.data_xyz * 2), tolerance=1.01)


def test_a_private_tag_of_another_vendor_is_no_b_value(place, write_dicom, tmp_path):
    for path in write_dicom({None: place()}, modality="MR"):
        dataset = pydicom.dcmread(path)
        dataset.private_block(0x0019, "GEMS_ACQU_01", create=True).add_new(0x0C, "IS", 512)
        dataset.save_as(path)
    assert [one.attributes.b_value for one in scan_folder(tmp_path / "export").series] == [None]


def of(**elements):
    return lambda volume, write: write(volume, modality="MR", elements=elements)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (of(EchoTime=12), of(EchoTime=85)),
        (of(ImageType=["ORIGINAL", "PRIMARY", "M"]), of(ImageType=["ORIGINAL", "PRIMARY", "P"])),
        (of(AcquisitionNumber=1), of(AcquisitionNumber=2)),
        (of(TemporalPositionIdentifier=1), of(TemporalPositionIdentifier=2)),
        (of(TriggerTime=0), of(TriggerTime=420)),
        (of(DiffusionGradientOrientation=[1, 0, 0]), of(DiffusionGradientOrientation=[0, 1, 0])),
        (of(AcquisitionTime="021700"), of(AcquisitionTime="021810")),
        (of(PixelSpacing=[1, 1]), of(PixelSpacing=[1, 2])),
        (of(FrameOfReferenceUID="1.2.3"), of(FrameOfReferenceUID="1.2.4")),
        (of(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]), of(ImageOrientationPatient=[0, 1, 0, 0, 0, 1])),
    ],
    ids=["echo", "type", "acquisition", "phase", "trigger", "gradient", "time", "spacing", "frame", "orientation"],
)
def test_volumes_that_share_a_series_come_apart(place, write_dicom, tmp_path, first, second):
    scan = place()
    first(scan, write_dicom)
    second(scan.with_data(scan.data_xyz + 100), write_dicom)
    series = scan_folder(tmp_path / "export").series
    assert len({one.series_key for one in series}) == 1
    assert [len(one.frames) for one in series] == [10, 10]


def test_a_sequential_scan_with_one_doubled_slice_stays_whole(write_dicom, only_series, edit, assert_placed):
    paths = write_dicom()
    for index, path in enumerate(paths):
        edit(path, AcquisitionNumber=index + 1)
    again = paths[4].with_name("again")
    again.write_bytes(paths[4].read_bytes())
    edit(again, AcquisitionNumber=11)
    assert_placed(read_series(only_series()).volume)


def test_slices_of_one_volume_stay_together_when_directions_are_rounded(write_dicom, only_series, edit):
    for index, path in enumerate(write_dicom()):
        tiny = 4e-7 * index
        edit(path, ImageOrientationPatient=[1, tiny, 0, -tiny, 1, 0])
    assert only_series().attributes.num_slices == 10


def test_patients_with_one_study_uid_are_not_mixed(write_dicom, tmp_path, edit):
    for path in write_dicom()[:5]:
        edit(path, PatientID="ANOTHER")
    series = scan_folder(tmp_path / "export").series
    assert [(one.patient_key, len(one.frames)) for one in series] == [("ANOTHER", 5), ("PID-0042", 5)]


def test_series_are_in_the_order_of_patient_and_number(write_dicom, tmp_path):
    other = replace(PATIENT, patient_id="AAA")
    for number in (10, 2):
        write_dicom(number=number)
    write_dicom(study=other, number=7)
    series = scan_folder(tmp_path / "export").series
    assert [one.attributes.number for one in series] == [7, 2, 10]


def test_odd_values_cost_no_image_and_no_warning(write_dicom, only_series, edit, capfd):
    for path in write_dicom():
        dataset = pydicom.dcmread(path)
        element = pydicom.dataelem.RawDataElement
        for tag, vr, content in (
            (0x00080032, "TM", b"at noon "),
            (0x00080022, "DA", b"yesterday "),
            (0x00200011, "IS", b"3.5 "),
            (0x00180050, "DS", b"five"),
        ):
            dataset[tag] = element(pydicom.tag.Tag(tag), vr, len(content), content, 0, False, True, True)
        dataset.save_as(path)
        path.write_bytes(path.read_bytes().replace(b"ISO_IR 100", b"ISO_IR 999"))
    seen = only_series().attributes
    assert (seen.slice_thickness_mm, seen.time_s, seen.num_slices) == (None, 2 * 3600 + 17 * 60, 10)
    assert capfd.readouterr() == ("", "")


def test_a_localiser_inside_a_series_comes_apart(place, write_dicom, tmp_path, assert_placed):
    write_dicom()
    sagittal = np.array([[0, 0, 8.0, 5], [-2, 0, 0, 30], [0, -2.0, 0, 30], [0, 0, 0, 1]])
    write_dicom(place(sagittal, (20, 20, 1)), image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))
    series = scan_folder(tmp_path / "export").series
    assert sorted(one.attributes.num_slices for one in series) == [1, 10]
    assert_placed(read_series(max(series, key=lambda one: one.attributes.num_slices)).volume)


def test_paths_of_any_depth_and_name(write_dicom, tmp_path):
    deep = "export/" + "/".join(["Ordner mit Leerzeichen", "Prüfung", "x" * 100, "00000A3F"])
    write_dicom(folder=deep)
    found = scan_folder(Path(tmp_path / "export"))
    assert [one.attributes.num_slices for one in found.series] == [10]


def test_a_series_over_midnight_starts_on_its_first_day(write_dicom, only_series, edit):
    paths = write_dicom(elements={"AcquisitionDate": "20240229"})
    for path in paths[:4]:
        edit(path, AcquisitionTime="000112", AcquisitionDate="20240301")
    for path in paths[4:]:
        edit(path, AcquisitionTime="235930")
    series = only_series()
    assert series.acquired_on == date(2024, 2, 29)
    assert series.attributes.time_s == 86400 - 30


def test_a_scan_keeps_little_of_each_file(write_dicom, tmp_path):
    """An archive has a million files; a data set of each would need more memory than a hospital's machine has."""
    paths = write_dicom(description="Kopf nativ")
    tracemalloc.start()
    try:
        scan_folder(tmp_path / "export")
        before, _ = tracemalloc.get_traced_memory()
        for copy in range(1, 12):
            for path in paths:
                shutil.copyfile(path, path.with_name(f"{copy}{path.name}"))
        tracemalloc.reset_peak()
        scan_folder(tmp_path / "export")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (peak - before) / (12 * len(paths)) < 10_000
