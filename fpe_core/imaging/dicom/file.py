"""The one place where a DICOM file is opened, and what can go wrong there."""

import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError

from fpe_core.errors import CaseFileMissing, CaseFileUnreadable

PYDICOM_ERRORS: Final = (
    InvalidDicomError,  # no meta header where one must be
    BytesLengthException,  # a binary value whose length is no multiple of its type's (a ValueError)
    EOFError,  # the file ends inside an element
    struct.error,  # the file ends inside a tag or a length
    OSError,  # the disk, the network share, permissions; also a sequence item that does not start as one
    KeyError,  # a value representation or a tag that is not in the dictionary
    NotImplementedError,  # a value representation nobody defined
    AttributeError,  # an element that pydicom needs is missing
    ValueError,  # text that is no number, lengths that do not agree, null bytes in a UID
    TypeError,  # a value of another kind than the element's
    ArithmeticError,  # decimal numbers that overflow
    LookupError,  # a character set that Python does not know
    RecursionError,  # sequences nested without end
    zlib.error,  # a damaged deflated data set
)
"""What pydicom 3 raises on damaged files. It promises none of this; each was seen or stands in its code."""

_GROUPS_AT_START: Final = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
"""First group of a file without preamble: the meta header, or the data set in little or big endian."""


@contextmanager
def quietly() -> Iterator[None]:
    """No warnings from pydicom: odd values are judged by what is read, not by what a terminal shows.

    Python's warning filters belong to the process, so this goes around a pool of threads, not inside it.
    """
    mode = pydicom.config.settings.reading_validation_mode
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        pydicom.config.settings.reading_validation_mode = mode


def looks_like_dicom(path: Path) -> bool:
    """Whether the file starts as DICOM does, with its preamble or, as old archives write it, without.

    Raises:
        CaseFileUnreadable: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError as error:
        raise CaseFileUnreadable(f"{path}: cannot be read ({type(error).__name__})") from error
    if start[128:132] == b"DICM":
        return True
    return len(start) >= 8 and start[:2] in _GROUPS_AT_START and b"\x00" in start[2:4]


def open_dataset(path: Path, tags: Sequence[int] | None = None) -> Any:
    """Read one file's data set.

    Args:
        path: the file.
        tags: read these elements only and stop before the pixels; without it, everything is read.

    Raises:
        CaseFileMissing: there is no such file.
        CaseFileUnreadable: truncated, damaged, or not DICOM.
    """
    try:
        if tags is None:
            return pydicom.dcmread(path, force=True)
        return pydicom.dcmread(path, force=True, stop_before_pixels=True, specific_tags=list(tags))
    except FileNotFoundError:
        raise CaseFileMissing(f"{path}: no such file") from None
    except PYDICOM_ERRORS as error:
        raise CaseFileUnreadable(f"{path}: not a readable DICOM file ({type(error).__name__})") from error
