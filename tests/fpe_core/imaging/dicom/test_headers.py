"""Single values out of a header, as scanners write them."""

import pytest
from pydicom.dataset import Dataset

from fpe_core.imaging.dicom.headers import HEADER_TAGS, b_value
from fpe_core.imaging.dicom.values import day, number, numbers, seconds, text, whole


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("021700", 8220.0),
        ("0217", 8220.0),
        ("02", 7200.0),
        ("02:17:00", 8220.0),
        ("235959.750", 86399.75),
        ("20240229021700.5", 8220.5),
        ("20240229021700+0100", 8220.0),
        ("", None),
    ],
)
def test_times_are_seconds_since_midnight(written, expected):
    assert seconds({"AcquisitionTime": written}, "AcquisitionTime") == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [("20240229", "2024-02-29"), ("2024.02.29", "2024-02-29"), ("20240230", None), ("", None)],
)
def test_days(written, expected):
    found = day({"StudyDate": written}, "StudyDate")
    assert (found and found.isoformat()) == expected


def test_missing_and_empty_values_are_none():
    dataset = Dataset()
    dataset.EchoTime = None
    assert number(dataset, "EchoTime") is None
    assert number(dataset, "RepetitionTime") is None
    assert whole(dataset, "SeriesNumber") is None
    assert numbers(dataset, "PixelSpacing", 2) is None
    assert text(dataset, "SeriesDescription") == ""


@pytest.mark.parametrize(
    ("tag", "creator", "vr", "written", "expected"),
    [
        (0x0019100C, "SIEMENS MR HEADER", "IS", 1000, 1000.0),
        (0x00431039, "GEMS_PARM_01", "IS", [1000001000, 8, 0, 0], 1000.0),
        (0x00431039, "GEMS_PARM_01", "IS", [1000000000, 8, 0, 0], 0.0),
        (0x00431039, "GEMS_PARM_01", "IS", [800, 8, 0, 0], 800.0),
        (0x20011003, "Philips Imaging DD 001", "FL", 1000.0, 1000.0),
        (0x20011003, "Philips Imaging DD 001", "FL", -1.0, None),
        (0x0019100C, "SOMEBODY ELSE", "IS", 1000, None),
    ],
)
def test_b_values_of_the_vendors(tag, creator, vr, written, expected):
    dataset = Dataset()
    dataset.add_new((tag & 0xFFFF0000) | (tag >> 8 & 0xFF), "LO", creator)
    dataset.add_new(tag, vr, written)
    assert b_value(dataset) == expected


def test_the_standard_tag_goes_before_the_vendors():
    dataset = Dataset()
    dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", 500)
    dataset.DiffusionBValue = 1000.0
    assert b_value(dataset) == 1000.0


def test_only_what_is_needed_is_read():
    named = {0x00100010: "PatientName", 0x00100030: "PatientBirthDate", 0x00080080: "InstitutionName"}
    assert not set(named) & set(HEADER_TAGS)
