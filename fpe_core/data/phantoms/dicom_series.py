"""Writes a volume as a scanner would send it: one DICOM file per slice, or one enhanced multi-frame file.

The files are real Part 10 files (pydicom) with a made-up patient in the header, so that a test can look for the patient
in whatever is made of them. UIDs come from a seed: the same call writes the same bytes.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless
from scipy.ndimage import map_coordinates

from fpe_core.imaging.geometry import RAS_FROM_LPS
from fpe_core.imaging.itk import sitk
from fpe_core.imaging.volume import Volume

Compression = Literal["none", "rle", "jpeg-lossless", "jpeg-2000"]
BTag = Literal["standard", "siemens", "ge", "philips"]

_CLASSES: Final = {
    ("CT", False): "1.2.840.10008.5.1.4.1.1.2",
    ("MR", False): "1.2.840.10008.5.1.4.1.1.4",
    ("CT", True): "1.2.840.10008.5.1.4.1.1.2.1",
    ("MR", True): "1.2.840.10008.5.1.4.1.1.4.1",
}
_GDCM_COMPRESSORS: Final = {"jpeg-lossless": "JPEG", "jpeg-2000": "JPEG2000"}


@dataclass(frozen=True)
class PhantomStudy:
    """A made-up patient at a made-up visit; all of it is written into every header."""

    patient_id: str = "PID-0042"
    name: str = "Phantom^Petra"
    birth_date: str = "19470305"
    sex: str = "F"
    date: str = "20240229"
    time: str = "021500"
    accession: str = "ACC-778899"
    institution: str = "Phantom General Hospital"


@dataclass(frozen=True)
class PhantomSeries:
    """What one series is.

    Attributes:
        modality, number, description, image_type, manufacturer: the attributes of that name.
        time: AcquisitionTime and SeriesTime, `HHMMSS`.
        signed: whether stored values are signed; unsigned CT stores HU + 1024, as most scanners do.
        slope: RescaleSlope.
        bits_stored: of 16 allocated.
        b_tag: where a b-value is written.
        elements: further attributes of every file, by keyword.
        compression: of the pixels.
        multi_frame: one enhanced file instead of a file per slice.
    """

    modality: Literal["CT", "MR"]
    number: int = 1
    description: str = ""
    image_type: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "AXIAL")
    manufacturer: str = "SIEMENS"
    time: str = "021700"
    signed: bool = False
    slope: float = 1.0
    bits_stored: int = 16
    b_tag: BTag = "standard"
    elements: Mapping[str, Any] = field(default_factory=dict)
    compression: Compression = "none"
    multi_frame: bool = False

    @property
    def intercept(self) -> float:
        """RescaleIntercept."""
        return -1024.0 if self.modality == "CT" and not self.signed else 0.0


def seeded_uid(*parts: str | int) -> str:
    """A UID below 2.25 (PS3.5 B.2) that only depends on `parts`."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:15], 'big')}"


def write_series(
    paths: Iterator[Path],
    volumes: Mapping[float | None, Volume],
    series: PhantomSeries,
    study: PhantomStudy,
    *,
    seed: int,
) -> list[Path]:
    """Write one series.

    Args:
        paths: where the next file goes; folders are made.
        volumes: by b-value in s/mm², or one under None. `(X, Y, Z)`: rows are along x, columns along y, slices along
            z; each slice is placed by the volume's affine, sheared or not.
        series: what it is.
        study: whose it is.
        seed: of the UIDs; two calls with one seed, study and number write into one SeriesInstanceUID.

    Returns:
        The files, in the order of b-values and of the volume's slices.
    """
    slices = [(b, volume, k) for b, volume in volumes.items() for k in range(volume.data_xyz.shape[2])]
    if series.multi_frame:
        dataset = _enhanced(slices, series, study, seed)
        return [_save(next(paths), dataset, series.compression)]
    written = []
    for number, (b, volume, k) in enumerate(slices, start=1):
        dataset = _header(series, study, seed, instance=number)
        dataset.update(_plane(volume, k))
        dataset.SliceThickness = _decimal(float(volume.spacing_mm[2]))
        _write_b_value(dataset, b, series.b_tag)
        _write_pixels(dataset, volume.data_xyz[:, :, k].T[None], series)
        for keyword, value in series.elements.items():
            setattr(dataset, keyword, value)
        written.append(_save(next(paths), dataset, series.compression))
    return written


def numbered(folder: Path, *, suffix: str = ".dcm") -> Iterator[Path]:
    """Plain names for the files of a folder: `IM00001.dcm` and so on, after those that are there."""
    number = len(list(folder.glob("IM*"))) if folder.is_dir() else 0
    while True:
        number += 1
        yield folder / f"IM{number:05}{suffix}"


def tilted(volume: Volume, *, tilt_deg: float) -> Volume:
    """The same head scanned with a tilted gantry: slices lean about the x axis, the table moves along z as before.

    The result's affine is sheared. Values are interpolated linearly; outside the scan lies its smallest value.
    """
    step = volume.affine_ras[:3, :3].copy()
    lean = np.deg2rad(tilt_deg)
    rotation = np.array([[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]])
    step[:, :2] = rotation @ step[:, :2]
    centre_index = (np.array(volume.data_xyz.shape) - 1) / 2
    affine = np.eye(4)
    affine[:3, :3] = step
    affine[:3, 3] = (volume.affine_ras @ [*centre_index, 1])[:3] - step @ centre_index
    onto = np.linalg.inv(volume.affine_ras) @ affine
    index = np.indices(volume.data_xyz.shape).reshape(3, -1)
    where = onto[:3, :3] @ index + onto[:3, 3:]
    values = map_coordinates(volume.data_xyz, where, order=1, cval=float(volume.data_xyz.min()))
    return Volume(values.reshape(volume.data_xyz.shape).astype(np.float32), affine)


def _header(series: PhantomSeries, study: PhantomStudy, seed: int, *, instance: int) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ImageType = list(series.image_type)
    dataset.SOPClassUID = _CLASSES[series.modality, series.multi_frame]
    key = (seed, study.patient_id, study.date, series.number)
    dataset.SOPInstanceUID = seeded_uid(*key, series.description, series.time, str(series.elements), instance)
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = study.date
    dataset.StudyTime = study.time
    dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = series.time
    dataset.AccessionNumber = study.accession
    dataset.Modality = series.modality
    dataset.Manufacturer = series.manufacturer
    dataset.InstitutionName = study.institution
    dataset.SeriesDescription = series.description
    dataset.PatientName = study.name
    dataset.PatientID = study.patient_id
    dataset.PatientBirthDate = study.birth_date
    dataset.PatientSex = study.sex
    dataset.BodyPartExamined = "HEAD"
    dataset.StudyInstanceUID = seeded_uid(seed, study.patient_id, study.date)
    dataset.SeriesInstanceUID = seeded_uid(*key)
    dataset.FrameOfReferenceUID = seeded_uid(seed, study.patient_id, study.date, "frame")
    dataset.SeriesNumber = series.number
    dataset.InstanceNumber = instance
    return dataset


def _plane(volume: Volume, k: int) -> Dataset:
    """Where slice `k` lies (PS3.3 C.7.6.2)."""
    lps = RAS_FROM_LPS @ volume.affine_ras
    spacing = volume.spacing_mm
    plane = Dataset()
    plane.ImagePositionPatient = [_decimal(mm) for mm in (lps @ [0, 0, k, 1])[:3]]
    plane.ImageOrientationPatient = [_decimal(c) for c in (*(lps[:3, 0] / spacing[0]), *(lps[:3, 1] / spacing[1]))]
    plane.PixelSpacing = [_decimal(spacing[1]), _decimal(spacing[0])]
    return plane


def _decimal(number: float) -> str:
    """A decimal string of at most 16 characters, as the standard has it."""
    return f"{float(number):.8f}"[:16].rstrip("0").rstrip(".")


def _write_pixels(dataset: Dataset, values: Any, series: PhantomSeries) -> None:
    """Pixel data of `(frames, rows, columns)` values in HU or signal."""
    stored = np.rint((values - series.intercept) / series.slope)
    low, high = (-(2 ** (series.bits_stored - 1)), 2 ** (series.bits_stored - 1) - 1) if series.signed else (
        0, 2**series.bits_stored - 1)  # fmt: skip
    pixels = np.clip(stored, low, high).astype(np.int16 if series.signed else np.uint16)
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape[1:]
    dataset.BitsAllocated = 16
    dataset.BitsStored = series.bits_stored
    dataset.HighBit = series.bits_stored - 1
    dataset.PixelRepresentation = int(series.signed)
    if series.modality == "CT" and not series.multi_frame:
        dataset.RescaleType = "HU"
    if not series.multi_frame:
        dataset.RescaleSlope, dataset.RescaleIntercept = _decimal(series.slope), _decimal(series.intercept)
    if len(pixels) > 1 or series.multi_frame:
        dataset.NumberOfFrames = len(pixels)
    bits = pixels.astype(np.uint16, casting="unsafe") & np.uint16(2**series.bits_stored - 1)
    dataset.add_new("PixelData", "OW", bits.astype("<u2").tobytes())


def _write_b_value(dataset: Dataset, b_value: float | None, tag: BTag) -> None:
    if b_value is None:
        return
    if tag == "siemens":
        dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", round(b_value))
    elif tag == "ge":
        marked = [round(b_value) + 1_000_000_000, 8, 0, 0]
        dataset.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x39, "IS", marked)
    elif tag == "philips":
        dataset.private_block(0x2001, "Philips Imaging DD 001", create=True).add_new(0x03, "FL", b_value)
    else:
        dataset.DiffusionBValue = b_value


def _enhanced(slices: Sequence[tuple[float | None, Volume, int]], series: PhantomSeries, study: PhantomStudy,
              seed: int) -> Dataset:  # fmt: skip
    """One enhanced object (PS3.3 A.36, A.38): what all frames share in one group, where each lies in its own."""
    dataset = _header(series, study, seed, instance=1)
    dataset.AcquisitionDateTime = study.date + series.time
    first = _plane(slices[0][1], 0)
    measures, orientation, values, kind = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = first.PixelSpacing
    measures.SliceThickness = _decimal(float(slices[0][1].spacing_mm[2]))
    orientation.ImageOrientationPatient = first.ImageOrientationPatient
    values.RescaleSlope, values.RescaleIntercept = _decimal(series.slope), _decimal(series.intercept)
    values.RescaleType = "HU" if series.modality == "CT" else "US"
    kind.FrameType = list(series.image_type)
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    shared.PixelValueTransformationSequence = [values]
    setattr(shared, f"{series.modality}ImageFrameTypeSequence", [kind])
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [_frame_group(b, volume, k) for b, volume, k in slices]
    _write_pixels(dataset, np.stack([volume.data_xyz[:, :, k].T for _, volume, k in slices]), series)
    for keyword, value in series.elements.items():
        setattr(dataset, keyword, value)
    return dataset


def _frame_group(b_value: float | None, volume: Volume, k: int) -> Dataset:
    group, content, position = Dataset(), Dataset(), Dataset()
    content.StackID, content.InStackPositionNumber = "1", k + 1
    position.ImagePositionPatient = _plane(volume, k).ImagePositionPatient
    group.FrameContentSequence = [content]
    group.PlanePositionSequence = [position]
    if b_value is not None:
        diffusion = Dataset()
        diffusion.DiffusionBValue = b_value
        group.MRDiffusionSequence = [diffusion]
    return group


def _save(path: Path, dataset: Dataset, compression: Compression) -> Path:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = UID(dataset.SOPClassUID)
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(dataset.SOPInstanceUID)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if compression == "rle":
        dataset.compress(RLELossless, generate_instance_uid=False)
    elif compression != "none":
        _compress_by_gdcm(dataset, _GDCM_COMPRESSORS[compression])
    path.parent.mkdir(parents=True, exist_ok=True)
    dcmwrite(path, dataset, enforce_file_format=True)
    return path


def _compress_by_gdcm(dataset: Dataset, compressor: str) -> None:
    """Compress one frame's pixels by GDCM, which writes what pydicom cannot."""
    stored = np.frombuffer(dataset.PixelData, np.int16 if dataset.PixelRepresentation else np.uint16)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.dcm"
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetFileName(str(path))
        writer.UseCompressionOn()
        writer.SetCompressor(compressor)
        writer.Execute(sitk.GetImageFromArray(stored.reshape(1, dataset.Rows, dataset.Columns)))
        made = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = made.file_meta.TransferSyntaxUID
    dataset.add_new("PixelData", "OB", made.PixelData)
    dataset["PixelData"].is_undefined_length = True
    dataset.BitsStored, dataset.HighBit = made.BitsStored, made.HighBit
