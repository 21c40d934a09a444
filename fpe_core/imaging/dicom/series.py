"""A folder as a PACS exports it, as series that hold one volume each. Headers only; nothing is written."""

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from pydicom.uid import UID

from fpe_core.errors import CaseError, CaseFileUnreadable, CaseHeaderIncomplete, CaseNotVolume, ImportFailed
from fpe_core.imaging.dicom.file import looks_like_dicom, open_dataset, quietly
from fpe_core.imaging.dicom.frames import frames_of
from fpe_core.imaging.dicom.headers import HEADER_TAGS, Frame, SeriesAttributes, describe, series_header
from fpe_core.imaging.dicom.split import distance_of_slices, num_places, split_volumes
from fpe_core.imaging.dicom.values import day, text, whole

_DIRECTORY: Final = "1.2.840.10008.1.3.10"
"""SOP class of a DICOMDIR."""
_NEEDED: Final = ("StudyInstanceUID", "SeriesInstanceUID", "Modality", "Rows", "Columns")
_READERS: Final = 8
"""Files read at the same time: the wait for a network share, not the processor, is what a scan spends."""


@dataclass(frozen=True)
class Series:
    """One volume of one series. The keys name a patient and stay at the site; so does the day.

    Attributes:
        study_key: StudyInstanceUID.
        patient_key: PatientID as exported; the StudyInstanceUID where a file has none.
        attributes: what recognition may look at.
        frames: every slice, in no order that matters.
        series_key: SeriesInstanceUID; several volumes split from one series share it.
        acquired_on: first day of the acquisition, else of the series, else of the study.
    """

    study_key: str = field(repr=False)
    patient_key: str = field(repr=False)
    attributes: SeriesAttributes
    frames: tuple[Frame, ...] = field(repr=False)
    series_key: str = field(repr=False)
    acquired_on: date | None = field(repr=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold the frames, each once, sorted."""
        return tuple(sorted({frame.path for frame in self.frames}))


@dataclass(frozen=True)
class Refused:
    """A DICOM image that cannot be used. `message` names the file and stays at the site; `code` may leave."""

    path: Path
    code: str
    message: str


@dataclass(frozen=True)
class Ignored:
    """What is in the folder and is no image: a directory file, a report, a text file, a link."""

    path: Path
    reason: str


@dataclass(frozen=True)
class FolderScan:
    """What a folder holds; every file is in one of the three lists. Series are by patient, study and number."""

    series: tuple[Series, ...]
    refused: tuple[Refused, ...]
    ignored: tuple[Ignored, ...]


@dataclass(frozen=True)
class _File:
    path: Path
    header: dict[str, tuple[str, ...]]
    frames: list[Frame]


def scan_folder(root: Path) -> FolderScan:
    """Read the headers of every file below `root` and sort them into volumes.

    Files are known by their content, with or without extension and preamble. Links are not followed: they could lead
    out of the folder, or round in a circle. A damaged file is listed and costs no other file.

    Raises:
        ImportFailed: `root` is no folder.
    """
    if not root.is_dir():
        raise ImportFailed(f"{root}: no such folder", hint="name the folder that the PACS export was written to")
    paths, ignored, closed = [], [], list[Path]()
    for path, why in _walk(root, closed):
        if why:
            ignored.append(Ignored(path, why))
        else:
            paths.append(path)
    refused = [Refused(path, CaseFileUnreadable.code, f"{path}: the folder may not be read") for path in closed]
    files: dict[tuple[str, str, str], list[_File]] = {}
    with quietly(), ThreadPoolExecutor(_READERS) as pool:
        for path, found in zip(paths, pool.map(_read_one, paths), strict=True):
            if isinstance(found, Ignored):
                ignored.append(found)
            elif isinstance(found, CaseError):
                refused.append(Refused(path, found.code, str(found)))
            else:
                files.setdefault(_keys(found.header), []).append(found)
        series = [one for keys, group in files.items() for one in _volumes(keys, group)]
    return FolderScan(tuple(sorted(series, key=_order)), tuple(refused), tuple(ignored))


def _order(series: Series) -> tuple[str, str, int, str, float, Path]:
    seen = series.attributes
    number, b_value = seen.number or 0, -1.0 if seen.b_value is None else seen.b_value
    return series.patient_key, series.study_key, number, series.series_key, b_value, series.frames[0].path


def _walk(root: Path, closed: list[Path]) -> Iterator[tuple[Path, str]]:
    """Every file below `root` in a fixed order, and why it is not to be read, if so; `closed` gets what is locked."""
    for folder, folders, names in os.walk(root, onerror=lambda error: closed.append(Path(str(error.filename)))):
        folders.sort()
        for name in sorted([*names, *(f for f in folders if (Path(folder) / f).is_symlink())]):
            path = Path(folder) / name
            yield path, _why_not(path)


def _why_not(path: Path) -> str:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return "gone since the folder was listed"
    if stat.S_ISLNK(mode):
        return "a link, which is not followed"
    return "" if stat.S_ISREG(mode) else "not a file"


def _read_one(path: Path) -> _File | Ignored | CaseError:
    try:
        if path.stat().st_size == 0:
            return CaseFileUnreadable(f"{path}: the file is empty")
        if not looks_like_dicom(path):
            return Ignored(path, "not DICOM")
        dataset = open_dataset(path, HEADER_TAGS)
        reason = _no_image(dataset, path)
        return Ignored(path, reason) if reason else _File(path, series_header(dataset), _checked_frames(dataset, path))
    except OSError as error:
        return CaseFileUnreadable(f"{path}: cannot be read ({type(error).__name__})")
    except CaseError as error:
        return error


def _no_image(dataset: Any, path: Path) -> str:
    kind = text(dataset, "SOPClassUID") or text(getattr(dataset, "file_meta", {}), "MediaStorageSOPClassUID")
    if kind == _DIRECTORY:
        return "a DICOMDIR"
    if whole(dataset, "Rows") is not None or "Image Storage" in UID(kind).name:
        return ""
    if not kind:
        raise CaseFileUnreadable(f"{path}: begins like DICOM, but no element says what it is; it may have been cut off")
    return "a DICOM object without an image"


def _checked_frames(dataset: Any, path: Path) -> list[Frame]:
    lacking = [name for name in _NEEDED if not text(dataset, name)]
    if lacking:
        raise CaseHeaderIncomplete(f"{path}: the header lacks {', '.join(lacking)}")
    kind = text(dataset, "PhotometricInterpretation")
    if (whole(dataset, "SamplesPerPixel") or 1) > 1 or (kind and not kind.startswith("MONOCHROME")):
        raise CaseNotVolume(f"{path}: a colour picture ({kind}), not a measurement")
    return frames_of(dataset, path)


def _keys(header: dict[str, tuple[str, ...]]) -> tuple[str, str, str]:
    study = text(header, "StudyInstanceUID")
    return text(header, "PatientID") or study, study, text(header, "SeriesInstanceUID")


def _volumes(keys: tuple[str, str, str], files: list[_File]) -> Iterator[Series]:
    patient, study, series = keys
    headers = {file.path: file.header for file in files}
    for frames in split_volumes([frame for file in files for frame in file.frames]):
        attributes = describe(
            headers[frames[0].path], frames, num_slices=num_places(frames), slice_distance_mm=distance_of_slices(frames)
        )
        acquired_on = _first_day([headers[path] for path in dict.fromkeys(frame.path for frame in frames)])
        yield Series(study, patient, attributes, tuple(frames), series, acquired_on)


def _first_day(headers: list[dict[str, tuple[str, ...]]]) -> date | None:
    for level in ("Acquisition", "Series", "Study"):
        if days := [found for header in headers if (found := day(header, f"{level}Date"))]:
            return min(days)
    return None
