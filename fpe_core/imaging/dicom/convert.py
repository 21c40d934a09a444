"""Chosen series to NIfTI files: one file per sequence, and beside it what it was made from.

A file's header says where the voxels lie and nothing else: no text, no date. The same series gives the same bytes.
"""

import gzip
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import nibabel
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from fpe_core.config.base import FrozenModel
from fpe_core.data.case_table import ImageColumn
from fpe_core.errors import CaseError, CaseFileUnreadable, CaseProcessingFailed, ImportFailed
from fpe_core.imaging.content import file_sha256
from fpe_core.imaging.dicom.pseudonym import LinkTable
from fpe_core.imaging.dicom.series import Series
from fpe_core.imaging.dicom.volume import read_series
from fpe_core.imaging.volume import Volume
from fpe_core.preprocessing.processed import write_private
from fpe_core.preprocessing.single_thread import single_threaded_children
from fpe_core.preprocessing.storage import clear_leftovers

CONVERSION_VERSION: Final = 1
"""Goes up when the same series gives other bytes, so that images made before are made anew."""
_COMPRESSION: Final = 4
_INT16: Final = np.iinfo(np.int16)
_ORTHOGONAL: Final = 1e-4
"""Largest cosine between two axes that a quaternion may stand for; beyond it the qform is left unset."""

nib: Any = nibabel
"""nibabel's own type information is partial."""


@dataclass(frozen=True)
class Source:
    """A series that could become an image, and the keyed hash of its files."""

    series: Series
    inputs: str


@dataclass(frozen=True)
class ConversionTask:
    """One case. `sources`: per sequence the series in order of preference; `folder`: where its images go."""

    case_id: str
    folder: Path
    sources: dict[ImageColumn, tuple[Source, ...]]


@dataclass(frozen=True)
class Image:
    """An image that is ready. `rank`: which of the sources it was made from; `cached`: it was there already."""

    rank: int
    sha256: str
    notes: tuple[str, ...]
    cached: bool


@dataclass(frozen=True)
class Failure:
    """A series that could not be read. `message` stays at the site and in no file; `code` may leave."""

    sequence: ImageColumn
    rank: int
    code: str
    message: str


@dataclass(frozen=True)
class ConversionOutcome:
    """What became of one case."""

    case_id: str
    images: dict[ImageColumn, Image] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()


class _MadeFrom(FrozenModel):
    """The file beside an image."""

    inputs: str
    sha256: str
    notes: tuple[str, ...]


def input_hash(series: Series, root: Path, table: LinkTable) -> str:
    """Keyed hash of the paths below `root`, sizes and times of a series' files, and of the frames taken from them.

    Raises:
        CaseFileUnreadable: a file is gone.
    """
    parts = [f"version {CONVERSION_VERSION}"]
    try:
        for path in series.files:
            status = path.stat()
            parts.append(f"{path.relative_to(root)}|{status.st_size}|{status.st_mtime_ns}")
    except OSError as error:
        raise CaseFileUnreadable(f"{path}: cannot be read ({type(error).__name__})") from error
    parts += sorted(f"{frame.path.relative_to(root)}#{frame.index}" for frame in series.frames)
    return table.keyed_hash(*parts)


def convert_cases(tasks: Sequence[ConversionTask], *, jobs: int) -> Iterator[ConversionOutcome]:
    """Convert cases side by side, in processes of their own; outcomes come as they are ready.

    A decoder that crashes takes all processes of the pool with it: what was not ready is then tried again one case at a
    time, so that only the case that crashes is lost.

    Args:
        tasks: one per case.
        jobs: processes, each on one thread.
    """
    unfinished = {task.case_id: task for task in tasks}
    for outcome in _in_pool(tasks, jobs):
        del unfinished[outcome.case_id]
        yield outcome
    for task in unfinished.values():
        yield next(_in_pool([task], 1), _crashed(task))


def _in_pool(tasks: Sequence[ConversionTask], jobs: int) -> Iterator[ConversionOutcome]:
    """Outcomes until a process dies."""
    if not tasks:
        return
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=get_context("spawn"))
    futures: list[Future[ConversionOutcome]] = []
    try:
        with single_threaded_children():
            futures += [pool.submit(convert_case, task) for task in tasks]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        return
    finally:
        pool.shutdown(cancel_futures=True)


def _crashed(task: ConversionTask) -> ConversionOutcome:
    message = "the process that read the case's series died"
    failures = tuple(Failure(name, 0, CaseProcessingFailed.code, message) for name in task.sources)
    return ConversionOutcome(task.case_id, failures=failures)


def convert_case(task: ConversionTask) -> ConversionOutcome:
    """Write the case's images. Of each sequence, the first series that can be read is taken.

    Raises:
        ImportFailed: an image cannot be written.
    """
    images: dict[ImageColumn, Image] = {}
    failures: list[Failure] = []
    for name, sources in task.sources.items():
        for part in ("nii.gz", "json"):
            clear_leftovers(task.folder, f"{name}.{part}")
        for rank, source in enumerate(sources):
            try:
                images[name] = _image(source, rank, task.folder / f"{name}.nii.gz")
                break
            except CaseError as error:
                failures.append(Failure(name, rank, error.code, str(error)))
            except ImportFailed:
                raise
            except Exception as error:  # noqa: BLE001 (the process's boundary: one series must not stop the others)
                failures.append(Failure(name, rank, CaseProcessingFailed.code, f"{type(error).__name__}: {error}"))
    return ConversionOutcome(task.case_id, images, tuple(failures))


def _image(source: Source, rank: int, path: Path) -> Image:
    note = path.with_name(f"{path.name.removesuffix('.nii.gz')}.json")
    before = _made_from(note)
    if before and before.inputs == source.inputs and path.is_file() and file_sha256(path) == before.sha256:
        return Image(rank, before.sha256, before.notes, cached=True)
    read = read_series(source.series)
    content = nifti_bytes(read.volume)
    # The note goes first and comes last: a kill in between leaves an image without one, which is made again.
    made = _MadeFrom(inputs=source.inputs, sha256=hashlib.sha256(content).hexdigest(), notes=read.notes)
    try:
        note.unlink(missing_ok=True)
        write_private(path, content)
        write_private(note, (made.model_dump_json(indent=1) + "\n").encode())
    except OSError as error:
        raise ImportFailed(f"{path}: cannot be written ({error.strerror})", hint="make room, or check rights") from None
    return Image(rank, made.sha256, made.notes, cached=False)


def _made_from(path: Path) -> _MadeFrom | None:
    """What an image was made from; None where that is not known, which costs making it again."""
    try:
        return _MadeFrom.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def nifti_bytes(volume: Volume) -> bytes:
    """A gzipped NIfTI-1 file: int16 where that is exact, else float32; no text and no time in either header.

    The affine goes in as sform (code 1, scanner), and as qform where its axes stand at right angles: a quaternion
    cannot say that a gantry was tilted.
    """
    image = nib.Nifti1Image(_compact(volume.data_xyz), volume.affine_ras)
    image.header.set_xyzt_units("mm")
    image.set_sform(volume.affine_ras, code=1)
    if _is_orthogonal(volume):
        image.set_qform(volume.affine_ras, code=1)
    else:
        image.set_qform(None, code=0)
    return gzip.compress(image.to_bytes(), compresslevel=_COMPRESSION, mtime=0)


def _compact(data_xyz: NDArray[np.float32]) -> NDArray[np.int16] | NDArray[np.float32]:
    if not np.isfinite(data_xyz).all() or data_xyz.min() < _INT16.min or data_xyz.max() > _INT16.max:
        return data_xyz
    whole = data_xyz.astype(np.int16)
    return whole if np.array_equal(whole, data_xyz) else data_xyz


def _is_orthogonal(volume: Volume) -> bool:
    axes = volume.affine_ras[:3, :3] / volume.spacing_mm
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() < _ORTHOGONAL)
