"""What is read from a header: where each frame lies, what tells volumes of one series apart, what a series is.

Everything comes from the standard's attributes (DICOM PS3.3, CT and MR image modules and the enhanced multi-frame
objects) but the b-value, for which vendors had tags of their own before the standard had one.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydicom.datadict import tag_for_keyword

from fpe_core.imaging.dicom.values import number, numbers, seconds, text, texts, value, whole

_KEYWORDS: Final = (
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "StudyDate", "SeriesDate", "AcquisitionDate",
    "AcquisitionDateTime", "SeriesTime", "AcquisitionTime", "ContentTime", "Modality", "Manufacturer",
    "SeriesDescription", "DerivationDescription", "PatientID", "ContrastBolusAgent", "BodyPartExamined",
    "ScanningSequence", "SequenceName", "PulseSequenceName", "SliceThickness", "RepetitionTime", "EchoTime",
    "InversionTime", "SpacingBetweenSlices", "ProtocolName", "TriggerTime", "ConvolutionKernel", "DiffusionBValue",
    "DiffusionGradientOrientation", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "AcquisitionNumber",
    "ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "TemporalPositionIdentifier",
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "PixelSpacing",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "QualityControlImage",
)  # fmt: skip

_SIEMENS_B_VALUE: Final = 0x0019100C
_GE_B_VALUE: Final = 0x00431039
_PHILIPS_B_VALUE: Final = 0x20011003
_PRIVATE_B_VALUES: Final = {_SIEMENS_B_VALUE: 0x00190010, _GE_B_VALUE: 0x00430010, _PHILIPS_B_VALUE: 0x20010010}
"""Vendor tag and the element that names who reserved it; read only where that name is the vendor's."""
_CREATORS: Final = {
    _SIEMENS_B_VALUE: "SIEMENS MR HEADER",
    _GE_B_VALUE: "GEMS_PARM_01",
    _PHILIPS_B_VALUE: "PHILIPS IMAGING DD 001",
}

HEADER_TAGS: Final = tuple(
    sorted(
        [tag for keyword in _KEYWORDS if (tag := tag_for_keyword(keyword)) is not None]
        + [*_PRIVATE_B_VALUES, *_PRIVATE_B_VALUES.values()]
    )
)
"""What a scan of a folder reads of each file."""

_OF_SERIES: Final = (
    "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "AcquisitionDate", "SeriesDate", "StudyDate",
    "AcquisitionDateTime", "SeriesTime", "ContentTime", "Modality", "SeriesDescription", "ProtocolName", "SequenceName",
    "PulseSequenceName", "ContrastBolusAgent", "ConvolutionKernel", "RepetitionTime", "InversionTime",
    "ScanningSequence", "BodyPartExamined", "Manufacturer", "DerivationDescription", "SeriesNumber",
    "QualityControlImage",
)  # fmt: skip
"""What `describe` and the sorting into series need beside the frames."""

_HALF_DAY_S: Final = 12 * 3600.0
_NO_CONTRAST: Final = frozenset({"", "NO", "N", "NONE", "NON", "OHNE", "KEIN", "0"})


@dataclass(frozen=True)
class SeriesAttributes:
    """What recognition may look at. Names nobody: no patient, no date, no place; free text stays at the site.

    Attributes:
        modality: `CT`, `MR`, …
        description: SeriesDescription.
        protocol: ProtocolName.
        sequence_name: SequenceName, or PulseSequenceName of an enhanced object.
        image_type: ImageType, or FrameType of an enhanced object, for example `("ORIGINAL", "PRIMARY", "AXIAL")`.
        contrast_agent: whether ContrastBolusAgent names one.
        kernel: ConvolutionKernel of a CT; several values are joined by a backslash.
        b_value: diffusion weighting in s/mm²; None where no tag gives one.
        echo_time_ms: EchoTime.
        repetition_time_ms: RepetitionTime.
        inversion_time_ms: InversionTime.
        scanning_sequence: ScanningSequence, for example `EP\\SE`.
        slice_thickness_mm: SliceThickness; the thinnest where a series has several.
        spacing_mm: columns' spacing, rows' spacing, usual distance of neighbouring slices, in mm; 0 where unknown.
        num_slices: distinct places along the normal.
        body_part: BodyPartExamined.
        manufacturer: Manufacturer.
        derivation: DerivationDescription.
        number: SeriesNumber.
        time_s: acquisition in seconds since midnight, only to order series.
        phantom: QualityControlImage says that a phantom was imaged, no patient.
    """

    modality: str
    description: str
    protocol: str
    sequence_name: str
    image_type: tuple[str, ...]
    contrast_agent: bool
    kernel: str
    b_value: float | None
    echo_time_ms: float | None
    repetition_time_ms: float | None
    inversion_time_ms: float | None
    scanning_sequence: str
    slice_thickness_mm: float | None
    spacing_mm: tuple[float, float, float]
    num_slices: int
    body_part: str
    manufacturer: str
    derivation: str
    number: int | None
    time_s: float | None
    phantom: bool = False


@dataclass(frozen=True)
class Frame:
    """One slice: a file of its own, or one frame of a multi-frame file.

    Attributes:
        path: the file.
        index: which frame of the file, from 0.
        shape: rows, columns.
        position_lps_mm: ImagePositionPatient, the centre of the first pixel.
        orientation: ImageOrientationPatient: direction along a row, then along a column.
        pixel_spacing_mm: distance of rows, distance of columns.
        thickness_mm: SliceThickness.
        image_type: as in `SeriesAttributes`.
        echo_time_ms: as in `SeriesAttributes`.
        b_value: as in `SeriesAttributes`.
        gradient: DiffusionGradientOrientation.
        temporal: TemporalPositionIdentifier, or the index of an enhanced object.
        trigger_ms: TriggerTime.
        acquisition: AcquisitionNumber.
        time_s: AcquisitionTime in seconds since midnight.
        frame_of_reference: FrameOfReferenceUID.
    """

    path: Path
    index: int
    shape: tuple[int, int]
    position_lps_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing_mm: tuple[float, ...] | None
    thickness_mm: float | None
    image_type: tuple[str, ...]
    echo_time_ms: float | None
    b_value: float | None
    gradient: tuple[float, ...] | None
    temporal: int | None
    trigger_ms: float | None
    acquisition: int | None
    time_s: float | None
    frame_of_reference: str


def single_frame(dataset: Any, path: Path) -> Frame:
    """The frame of a file that holds one image."""
    return Frame(
        path=path,
        index=0,
        shape=(whole(dataset, "Rows") or 0, whole(dataset, "Columns") or 0),
        position_lps_mm=numbers(dataset, "ImagePositionPatient", 3),
        orientation=numbers(dataset, "ImageOrientationPatient", 6),
        pixel_spacing_mm=numbers(dataset, "PixelSpacing", 2),
        thickness_mm=number(dataset, "SliceThickness"),
        image_type=texts(dataset, "ImageType"),
        echo_time_ms=number(dataset, "EchoTime"),
        b_value=b_value(dataset),
        gradient=numbers(dataset, "DiffusionGradientOrientation", 3),
        temporal=whole(dataset, "TemporalPositionIdentifier"),
        trigger_ms=number(dataset, "TriggerTime"),
        acquisition=whole(dataset, "AcquisitionNumber"),
        time_s=seconds(dataset, "AcquisitionTime"),
        frame_of_reference=text(dataset, "FrameOfReferenceUID"),
    )


def b_value(dataset: Any) -> float | None:
    """b-value in s/mm²: the standard's tag, else Siemens', GE's or Philips' own.

    GE adds a multiple of 10⁵ to mark how the value was set (for example 1000001000 for b 1000); the rest is the value.
    """
    found = number(dataset, "DiffusionBValue")
    for tag, creator_tag in _PRIVATE_B_VALUES.items():
        if found is None and text(dataset, creator_tag).upper().startswith(_CREATORS[tag]):
            found = number(dataset, tag)
            if found is not None and tag == _GE_B_VALUE:
                found = found % 100_000
    return found if found is not None and 0 <= found <= 50_000 else None


def series_header(dataset: Any) -> dict[str, tuple[str, ...]]:
    """What a file says of its series, by keyword, as text.

    A scan keeps this of every file. It takes a tenth of a data set's memory, since files of a series share the texts.
    """
    found = ((keyword, texts(dataset, keyword)) for keyword in _OF_SERIES)
    return {keyword: tuple(map(sys.intern, several)) for keyword, several in found if several}


def describe(
    header: Mapping[str, tuple[str, ...]], frames: list[Frame], *, num_slices: int, slice_distance_mm: float
) -> SeriesAttributes:
    """What recognition may know of one volume, from its first file's `series_header` and its frames."""
    first = frames[0]
    rows_mm, columns_mm = first.pixel_spacing_mm or (0.0, 0.0)
    thicknesses = [frame.thickness_mm for frame in frames if frame.thickness_mm]
    times = _of_one_day([frame.time_s for frame in frames if frame.time_s is not None])
    fallback = next((t for key in ("AcquisitionDateTime", "SeriesTime", "ContentTime")
                     if (t := seconds(header, key)) is not None), None)  # fmt: skip
    return SeriesAttributes(
        modality=text(header, "Modality").upper(),
        description=text(header, "SeriesDescription"),
        protocol=text(header, "ProtocolName"),
        sequence_name=text(header, "SequenceName") or text(header, "PulseSequenceName"),
        image_type=first.image_type,
        contrast_agent=text(header, "ContrastBolusAgent").upper() not in _NO_CONTRAST,
        kernel=text(header, "ConvolutionKernel"),
        b_value=first.b_value,
        echo_time_ms=first.echo_time_ms,
        repetition_time_ms=number(header, "RepetitionTime"),
        inversion_time_ms=number(header, "InversionTime"),
        scanning_sequence=text(header, "ScanningSequence"),
        slice_thickness_mm=min(thicknesses, default=None),
        spacing_mm=(columns_mm, rows_mm, slice_distance_mm),
        num_slices=num_slices,
        body_part=text(header, "BodyPartExamined"),
        manufacturer=text(header, "Manufacturer"),
        derivation=text(header, "DerivationDescription"),
        number=whole(header, "SeriesNumber"),
        time_s=min(times, default=fallback),
        phantom=text(header, "QualityControlImage").upper() == "YES",
    )


def _of_one_day(times_s: list[float]) -> list[float]:
    """Without those after midnight, where a series runs over it: its day is that of its first slice."""
    over_midnight = bool(times_s) and max(times_s) - min(times_s) > _HALF_DAY_S
    return [time_s for time_s in times_s if time_s > _HALF_DAY_S] if over_midnight else times_s


def is_multi_frame(dataset: Any) -> bool:
    """Whether the file holds several frames, or one described by functional groups."""
    return (whole(dataset, "NumberOfFrames") or 1) > 1 or value(dataset, "PerFrameFunctionalGroupsSequence") is not None
