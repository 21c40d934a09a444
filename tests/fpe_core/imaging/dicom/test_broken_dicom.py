"""What arrives broken ends in its code, without a traceback, and costs no other series."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import HTJ2K, MPEG2MPML

from fpe_core.errors import CaseError
from fpe_core.imaging.dicom.series import scan_folder
from fpe_core.imaging.dicom.volume import read_series

Break = Callable[[list[Path]], None]


@dataclass(frozen=True)
class Kind:
    code: str
    spoil: Break
    series: dict[str, Any] = field(default_factory=dict)
    after_scan: bool = False


def one(change: Callable[[Any], None], *, index: int = 4) -> Break:
    """Changes one slice's data set, however little sense that makes."""

    def spoil(paths: list[Path]) -> None:
        path = paths[index % len(paths)]
        dataset = pydicom.dcmread(path)
        change(dataset)
        dataset.save_as(path)

    return spoil


def every(change: Callable[[Any], None]) -> Break:
    def spoil(paths: list[Path]) -> None:
        for index in range(len(paths)):
            one(change, index=index)(paths)

    return spoil


def without(keyword: str) -> Callable[[Any], None]:
    return lambda dataset: dataset.__delitem__(keyword)


def having(keyword: str, value: Any) -> Callable[[Any], None]:
    return lambda dataset: setattr(dataset, keyword, value)


def raw(keyword: str, content: bytes) -> Callable[[Any], None]:
    """A value as no library would write it."""

    def change(dataset: Any) -> None:
        element = pydicom.dataelem.RawDataElement(
            pydicom.tag.Tag(keyword), "DS", len(content), content, 0, False, True, True
        )
        dataset[keyword] = element

    return change


def content(change: Callable[[bytes], bytes], *, index: int = 4) -> Break:
    def spoil(paths: list[Path]) -> None:
        path = paths[index % len(paths)]
        path.write_bytes(change(path.read_bytes()))

    return spoil


def lose(*indices: int) -> Break:
    def spoil(paths: list[Path]) -> None:
        for index in indices:
            paths[index].unlink()

    return spoil


def colour(dataset: Any) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.PixelData = dataset.PixelData * 3


def moved(*by_mm: float) -> Callable[[Any], None]:
    def change(dataset: Any) -> None:
        here = zip(dataset.ImagePositionPatient, by_mm, strict=True)
        dataset.ImagePositionPatient = [float(mm) + by for mm, by in here]

    return change


def shortened(dataset: Any) -> None:
    """Compressed pixels of which the end is missing."""
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([frame[: len(frame) // 2]])


def scrambled(dataset: Any) -> None:
    """Compressed pixels of which only the begin is as it was."""
    half = len(dataset.PixelData) // 2
    noise = np.random.default_rng(0).integers(0, 256, half, dtype=np.uint8).tobytes()
    dataset.PixelData = dataset.PixelData[:half] + noise


def named_as(syntax: str) -> Callable[[Any], None]:
    """Compressed pixels that claim another compression."""
    return lambda dataset: setattr(dataset.file_meta, "TransferSyntaxUID", syntax)


def through_a_table(dataset: Any) -> None:
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [2, 0, 16], "HU"
    table.add_new("LUTData", "US", [0, 1])
    dataset.ModalityLUTSequence = [table]


def twice_with_other_pixels(paths: list[Path]) -> None:
    again = paths[3].with_name("again.dcm")
    again.write_bytes(paths[3].read_bytes())
    one(lambda dataset: setattr(dataset, "PixelData", dataset.PixelData[2:] + b"\0\0"), index=0)([again])


KINDS = {
    "an empty file": Kind("FPE-212", content(lambda _: b"")),
    "noise after the preamble": Kind("FPE-212", content(lambda c: c[:132] + bytes(range(256)) * 40)),
    "a header cut off": Kind("FPE-224", content(lambda c: c[:600])),
    "cut off inside the meta header": Kind("FPE-212", content(lambda c: c[:140])),
    "pixels cut off": Kind("FPE-212", content(lambda c: c[:-100])),
    "no pixels": Kind("FPE-212", one(without("PixelData"))),
    "a slice without position": Kind("FPE-224", one(without("ImagePositionPatient"))),
    "no orientation": Kind("FPE-224", every(without("ImageOrientationPatient"))),
    "an orientation of zeros": Kind("FPE-224", every(having("ImageOrientationPatient", [0] * 6))),
    "no pixel spacing": Kind("FPE-224", every(without("PixelSpacing"))),
    "a pixel spacing of zero": Kind("FPE-216", every(having("PixelSpacing", [0, 0]))),
    "a position that is text": Kind("FPE-224", one(raw("ImagePositionPatient", b"left\\up\\near "))),
    "a position that is no number": Kind("FPE-224", one(raw("ImagePositionPatient", b"nan\\0\\0 "))),
    "a position of two numbers": Kind("FPE-224", one(having("ImagePositionPatient", [1, 2]))),
    "no series UID": Kind("FPE-224", one(without("SeriesInstanceUID"))),
    "no rows": Kind("FPE-224", one(without("Rows"))),
    "no modality": Kind("FPE-224", one(without("Modality"))),
    "a colour picture": Kind("FPE-213", one(colour)),
    "a palette": Kind("FPE-213", one(having("PhotometricInterpretation", "PALETTE COLOR"))),
    "a bitmap": Kind("FPE-213", every(having("BitsAllocated", 1))),
    "CT without slope": Kind("FPE-224", every(without("RescaleSlope"))),
    "a slope of zero": Kind("FPE-224", one(having("RescaleSlope", 0))),
    "electron densities": Kind("FPE-217", every(having("RescaleType", "ED"))),
    "a lookup table": Kind("FPE-224", every(through_a_table)),
    "MR that may be inverted": Kind(
        "FPE-217", every(having("PhotometricInterpretation", "MONOCHROME1")), {"modality": "MR"}
    ),
    "three slices lost": Kind("FPE-222", lose(1, 4, 7)),
    "neighbours lost": Kind("FPE-222", lose(4, 5)),
    "every second one lost": Kind("FPE-222", lose(5, 7)),
    "one slice only": Kind("FPE-213", lose(*range(1, 10))),
    "two slices at one place": Kind("FPE-223", twice_with_other_pixels),
    "a slice pushed aside": Kind("FPE-223", one(moved(3, 0, 0))),
    "a slice close to its neighbour": Kind("FPE-223", one(moved(0, 0, 4.4))),
    "more rows announced than sent": Kind("FPE-212", every(having("Rows", 200))),
    "video": Kind("FPE-225", one(named_as(MPEG2MPML)), {"compression": "rle"}),
    "a compression nothing reads": Kind("FPE-225", every(named_as(HTJ2K)), {"compression": "rle"}),
    "a compression of nobody's": Kind("FPE-225", every(named_as("1.2.3.4.5")), {"compression": "rle"}),
    "RLE cut off": Kind("FPE-212", one(shortened), {"compression": "rle"}),
    "damaged lossless JPEG": Kind("FPE-212", one(scrambled), {"compression": "jpeg-lossless"}),
    "JPEG 2000 cut off": Kind("FPE-212", one(shortened), {"compression": "jpeg-2000"}),
    "RLE that claims to be JPEG 2000": Kind("FPE-212", one(named_as("1.2.840.10008.1.2.4.90")), {"compression": "rle"}),
    "frames without places": Kind(
        "FPE-224", one(without("PerFrameFunctionalGroupsSequence")), {"multi_frame": True}
    ),
    "frames cut off": Kind("FPE-212", content(lambda c: c[:-1000]), {"multi_frame": True}),
    "gone before it is read": Kind("FPE-211", lose(4), after_scan=True),
    "replaced before it is read": Kind("FPE-212", content(lambda _: b"\0" * 400), after_scan=True),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_broken_dicom_ends_in_its_code(tmp_path, write_dicom, place, assert_placed, capfd, name):
    kind = KINDS[name]
    broken = write_dicom(folder="export/broken", number=1, **kind.series)
    write_dicom(place(), folder="export/healthy", number=2)
    if not kind.after_scan:
        kind.spoil(broken)
    found = scan_folder(tmp_path / "export")
    if kind.after_scan:
        kind.spoil(broken)
    codes = {refused.code for refused in found.refused}
    for series in found.series:
        try:
            read = read_series(series)
        except CaseError as error:
            codes.add(error.code)
            assert series.attributes.number == 1
        else:
            assert series.attributes.number in (1, 2)
            if series.attributes.number == 2:
                assert read.volume.data_xyz.shape == (14, 12, 10)
                assert_placed(read.volume)
    assert codes == {kind.code}
    assert [series.attributes.number for series in found.series].count(2) == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("stored", [{}, {"multi_frame": True}, {"compression": "rle"}], ids=str)
def test_whatever_bytes_are_damaged_ends_in_a_code_or_a_volume(tmp_path, write_dicom, capfd, seed, stored):
    rng = np.random.default_rng(seed)
    for path in write_dicom(**stored):
        damaged = bytearray(path.read_bytes())
        for _ in range(rng.integers(1, 6)):
            damaged[rng.integers(132, min(len(damaged), 1500))] = rng.integers(256)
        if rng.random() < 0.2:
            del damaged[rng.integers(132, len(damaged)) :]
        path.write_bytes(bytes(damaged))
    for series in scan_folder(tmp_path / "export").series:
        with contextlib.suppress(CaseError):
            read = read_series(series)
            assert np.isfinite(read.volume.affine_ras).all()
    assert capfd.readouterr() == ("", "")
