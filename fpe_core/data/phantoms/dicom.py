"""A PACS export of phantom patients: the series a study wants, and what else a radiology department sends along."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from fpe_core.data.phantoms.dicom_series import BTag, PhantomSeries, PhantomStudy, seeded_uid, write_series
from fpe_core.imaging.nifti import read_volume
from fpe_core.imaging.volume import Matrix, Volume
from fpe_core.seeds import derive_seed

__all__ = ["ExportedSeries", "PhantomPatient", "PhantomSeries", "PhantomStudy", "write_pacs_export", "write_series"]

_DIRECTORY_CLASS: Final = "1.2.840.10008.1.3.10"
_DOSE_REPORT_CLASS: Final = "1.2.840.10008.5.1.4.1.1.88.67"
_NAMES: Final = ("Müller^Jörg", "Okafor^Adaeze", "Lindqvist^Åsa", "Rossi^Piero", "Nguyen^Thi Lan", "Dubois^Hélène")


@dataclass(frozen=True)
class _Vendor:
    name: str
    descriptions: Mapping[str, str]
    kernels: Mapping[str, str]
    b_tag: BTag


_VENDORS: Final = (
    _Vendor(
        "SIEMENS",
        {
            "ncct": "Kopf nativ 5.0 J40s",
            "cta": "CTA Kopf 1.0 B20f",
            "bone": "Kopf Knochen 1.0 J70h",
            "scout": "Topogramm",
        }
        | {"dwi": "ep2d_diff_3scan_trace_p2", "adc": "ep2d_diff_3scan_trace_p2_ADC"}
        | {"flair": "t2_tirm_tra_dark-fluid"},
        {"ncct": "J40s", "cta": "B20f", "bone": "J70h"},
        "siemens",
    ),
    _Vendor(
        "GE MEDICAL SYSTEMS",
        {"ncct": "HEAD W/O 5mm", "cta": "CTA COW 0.625", "bone": "BONE THIN", "scout": "Scout"}
        | {"dwi": "Ax DWI", "adc": "Apparent Diffusion Coefficient (mm2/s)", "flair": "Ax T2 FLAIR"},
        {"ncct": "STANDARD", "cta": "STANDARD", "bone": "BONE"},
        "ge",
    ),
    _Vendor(
        "Philips Medical Systems",
        {"ncct": "Brain without contrast", "cta": "CTA Head", "bone": "Bone 1mm", "scout": "Surview"}
        | {"dwi": "DWI_SSh", "adc": "dADC", "flair": "FLAIR_TRA"},
        {"ncct": "UB", "cta": "B", "bone": "YD"},
        "philips",
    ),
)


@dataclass(frozen=True)
class PhantomPatient:
    """One patient to export.

    Attributes:
        case_id: of the phantom.
        images: NIfTI file by sequence: `ncct` and `cta`, or `dwi`, `adc` and `flair`.
    """

    case_id: str
    images: Mapping[str, Path]


@dataclass(frozen=True)
class ExportedSeries:
    """What was written, so that a test knows what an import should find.

    Attributes:
        case_id: of the phantom.
        role: the sequence, or the kind of rubbish: `scout`, `mip`, `bone`, `repeat`, `exponential`, `dose`, `picture`.
        study: whose it is.
        series_uid: SeriesInstanceUID.
        files: what was written.
    """

    case_id: str
    role: str
    study: PhantomStudy
    series_uid: str
    files: tuple[Path, ...]


def write_pacs_export(folder: Path, cases: Sequence[PhantomPatient], seed: int) -> list[ExportedSeries]:
    """Write phantom patients as a PACS exports them: folders and files with meaningless names and no extension.

    Beside the sequences of each case there is what comes along unasked: localisers, dose reports, maximum intensity
    projections, thin bone reconstructions, repeated series, exponential ADC maps, a colour summary and a DICOMDIR.
    The patients are scanned by different vendors, with the names and tags each of them uses. QualityControlImage says
    that they are phantoms.

    Args:
        folder: made if it does not exist.
        cases: the patients; each becomes one study.
        seed: of names, dates, UIDs and folders; the same seed and scans give the same bytes.

    Returns:
        What was written, in order.
    """
    exported = []
    for index, case in enumerate(cases):
        rng = np.random.default_rng(derive_seed(seed, "pacs", case.case_id))
        study = _study(index, rng)
        vendor = _VENDORS[index % len(_VENDORS)]
        paths = _meaningless(folder / "DICOM" / f"{rng.integers(16**8):08X}", rng)
        volumes = {name: read_volume(path) for name, path in case.images.items()}
        for role, series, parts in _planned(volumes, vendor, rng):
            series = replace(series, elements={**series.elements, "QualityControlImage": "YES"})
            files = write_series(paths, parts, series, study, seed=seed)
            uid = seeded_uid(seed, study.patient_id, study.date, series.number)
            exported.append(ExportedSeries(case.case_id, role, study, uid, tuple(files)))
        for role, dataset in (("dose", _dose_report()), ("picture", _colour_summary())):
            file = _write_object(next(paths), dataset, study, seed, role)
            exported.append(ExportedSeries(case.case_id, role, study, str(dataset.SeriesInstanceUID), (file,)))
    _write_directory(folder / "DICOMDIR", seed)
    return exported


def _study(index: int, rng: np.random.Generator) -> PhantomStudy:
    born = f"19{rng.integers(30, 70)}{rng.integers(1, 13):02}{rng.integers(1, 29):02}"
    return PhantomStudy(
        patient_id=f"{rng.integers(10**7, 10**8)}",
        name=_NAMES[index % len(_NAMES)] if index < len(_NAMES) else f"Phantom{index}^Vera",
        birth_date=born,
        sex="FM"[index % 2],
        date=f"2024{rng.integers(1, 13):02}{rng.integers(1, 29):02}",
        accession=f"A{rng.integers(10**6, 10**7)}",
    )


def _meaningless(folder: Path, rng: np.random.Generator) -> Iterator[Path]:
    """File names in no order, several folders deep."""
    while True:
        inner = folder / f"{rng.integers(16**4):04X}"
        for number in rng.permutation(64):
            yield inner / f"{number:08X}"


Planned = tuple[str, PhantomSeries, Mapping[float | None, Volume]]


def _planned(volumes: Mapping[str, Volume], vendor: _Vendor, rng: np.random.Generator) -> Iterator[Planned]:
    if "ncct" in volumes or "cta" in volumes:
        yield from _ct(volumes, vendor, rng)
    if "dwi" in volumes or "flair" in volumes:
        yield from _mr(volumes, vendor)


def _ct(volumes: Mapping[str, Volume], vendor: _Vendor, rng: np.random.Generator) -> Iterator[Planned]:
    def series(role: str, number: int, time: str, **elements: Any) -> PhantomSeries:
        kernel = {"ConvolutionKernel": vendor.kernels[role]} if role in vendor.kernels else {}
        return PhantomSeries("CT", number, vendor.descriptions.get(role, ""), time=time, manufacturer=vendor.name,
                             elements={**kernel, **elements})  # fmt: skip

    plain, angio = volumes.get("ncct"), volumes.get("cta")
    scout = replace(series("scout", 1, "021600"), image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))
    first = plain if plain is not None else angio
    if first is not None:
        yield "scout", scout, {None: _through(first, axis=0)}
    if plain is not None:
        shaken = plain.with_data(_shaken(plain))
        yield "repeat", series("ncct", 2, "021700"), {None: shaken}
        yield "ncct", replace(series("ncct", 3, "021900"), signed=vendor.name.startswith("GE")), {None: plain}
        thin = _thinner(plain)
        noise = 25 * rng.standard_normal(thin.data_xyz.shape, dtype=np.float32)
        yield "bone", series("bone", 4, "021900"), {None: thin.with_data(thin.data_xyz + noise)}
    if angio is not None:
        contrast = {"ContrastBolusAgent": "Iomeprol 350"}
        yield "cta", series("cta", 5, "022300", **contrast), {None: angio}
        mip = replace(series("mip", 6, "022300", **contrast), description="MIP cor 10/5",
                      image_type=("DERIVED", "SECONDARY", "MIP"))  # fmt: skip
        yield "mip", mip, {None: _projected(angio)}


def _mr(volumes: Mapping[str, Volume], vendor: _Vendor) -> Iterator[Planned]:
    def series(role: str, number: int, time: str, kind: tuple[str, ...], **elements: Any) -> PhantomSeries:
        return PhantomSeries("MR", number, vendor.descriptions.get(role, role), kind, vendor.name, time,
                             b_tag=vendor.b_tag, elements=elements)  # fmt: skip

    scout = series("scout", 1, "021600", ("ORIGINAL", "PRIMARY", "M"))
    yield "scout", replace(scout, description="localizer"), {None: _through(next(iter(volumes.values())), axis=0)}
    epi = {"ScanningSequence": ["EP", "SE"], "EchoTime": "89", "RepetitionTime": "6200"}
    dwi, adc = volumes.get("dwi"), volumes.get("adc")
    if dwi is not None and adc is not None:
        scale = 1e6 if adc.data_xyz.max() > 100 else 1e3
        attenuation = np.exp(-1000 * np.clip(adc.data_xyz, 0, None) / scale)
        unweighted = dwi.with_data(np.clip(dwi.data_xyz / attenuation, 0, 32767))
        yield (
            "dwi",
            series("dwi", 3, "022000", ("ORIGINAL", "PRIMARY", "DIFFUSION"), **epi),
            {0.0: unweighted, 1000.0: dwi},
        )
        stored = adc.with_data(adc.data_xyz * np.float32(1e6 / scale))
        yield "adc", series("adc", 4, "022000", ("DERIVED", "PRIMARY", "DIFFUSION", "ADC"), **epi), {None: stored}
        exponential = adc.with_data(1000 * attenuation)
        kind = ("DERIVED", "PRIMARY", "DIFFUSION", "EADC")
        yield "exponential", replace(series("adc", 5, "022000", kind, **epi), description="eADC"), {None: exponential}
    if "flair" in volumes:
        inversion = {
            "ScanningSequence": ["SE", "IR"],
            "EchoTime": "110",
            "RepetitionTime": "9000",
            "InversionTime": "2500",
        }
        yield "flair", series("flair", 6, "022500", ("ORIGINAL", "PRIMARY", "M"), **inversion), {None: volumes["flair"]}


def _through(volume: Volume, *, axis: int) -> Volume:
    """One slice through the middle, at right angles to a stored axis."""
    order = [(axis + 1) % 3, (axis + 2) % 3, axis]
    middle = volume.data_xyz.shape[axis] // 2
    affine: Matrix = volume.affine_ras.copy()
    affine[:3, 3] += affine[:3, axis] * middle
    affine[:3, :3] = affine[:3, order]
    data = volume.data_xyz.transpose(order)[:, :, middle : middle + 1]
    return Volume(np.ascontiguousarray(data), affine)


def _shaken(volume: Volume) -> Any:
    """A head that moved: every slice with a ghost of itself."""
    return 0.6 * volume.data_xyz + 0.4 * np.roll(volume.data_xyz, 6, axis=0)


def _thinner(volume: Volume) -> Volume:
    """The same scan with a slice between every two."""
    data = np.repeat(volume.data_xyz, 2, axis=2)[:, :, :-1]
    data[:, :, 1::2] = (volume.data_xyz[:, :, :-1] + volume.data_xyz[:, :, 1:]) / 2
    affine = volume.affine_ras.copy()
    affine[:3, 2] /= 2
    return Volume(data, affine)


def _projected(volume: Volume) -> Volume:
    """Thick slabs of the brightest voxel at right angles to the second stored axis."""
    thick = max(1, round(10 / float(volume.spacing_mm[1])))
    count = volume.data_xyz.shape[1] // thick
    slabs = volume.data_xyz[:, : count * thick].reshape(volume.data_xyz.shape[0], count, thick, -1).max(axis=2)
    affine = volume.affine_ras.copy()
    affine[:3, 3] += affine[:3, 1] * (thick - 1) / 2
    affine[:3, :3] = np.stack([affine[:3, 0], affine[:3, 2], affine[:3, 1] * thick], axis=1)
    return Volume(np.ascontiguousarray(slabs.transpose(0, 2, 1)), affine)


def _dose_report() -> Dataset:
    report = Dataset()
    report.SOPClassUID = _DOSE_REPORT_CLASS
    report.Modality = "SR"
    report.SeriesNumber = 997
    report.SeriesDescription = "Dose Report"
    report.ValueType = "CONTAINER"
    return report


def _colour_summary() -> Dataset:
    picture = Dataset()
    picture.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    picture.Modality = "OT"
    picture.SeriesNumber = 998
    picture.SeriesDescription = "Summary"
    picture.SamplesPerPixel, picture.PhotometricInterpretation, picture.PlanarConfiguration = 3, "RGB", 0
    picture.Rows = picture.Columns = 16
    picture.BitsAllocated = picture.BitsStored = 8
    picture.HighBit, picture.PixelRepresentation = 7, 0
    picture.add_new("PixelData", "OB", bytes(16 * 16 * 3))
    return picture


def _write_object(path: Path, dataset: Dataset, study: PhantomStudy, seed: int, role: str) -> Path:
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = study.name, study.patient_id, study.birth_date
    dataset.StudyDate = study.date
    dataset.StudyInstanceUID = seeded_uid(seed, study.patient_id, study.date)
    dataset.SeriesInstanceUID = seeded_uid(seed, study.patient_id, study.date, role)
    dataset.SOPInstanceUID = seeded_uid(seed, study.patient_id, study.date, role, 1)
    _write_part10(path, dataset)
    return path


def _write_directory(path: Path, seed: int) -> None:
    directory = Dataset()
    directory.SOPClassUID = _DIRECTORY_CLASS
    directory.SOPInstanceUID = seeded_uid(seed, "directory")
    directory.FileSetID = "EXPORT"
    directory.DirectoryRecordSequence = []
    _write_part10(path, directory)


def _write_part10(path: Path, dataset: Dataset) -> None:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = UID(dataset.SOPClassUID)
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(dataset.SOPInstanceUID)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    dcmwrite(path, dataset, enforce_file_format=True)
