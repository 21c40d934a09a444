"""The cohort's folder as a place that several programs use and that may be full: locks, leftovers, errors in words."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fpe_core.errors import DataError
from fpe_core.preprocessing.manifest import MANIFEST, QUARANTINE

INDEX = "index.json"
_LOCK = ".lock"
_OF_CASES = ("cases", "qc", "logs")
_HINT = "free space, or let this user write there, and run the same command again: what was done is kept"


@contextmanager
def storage_errors_told(folder: Path) -> Iterator[None]:
    """Say in one sentence what kept a file from being read or written in `folder`: a full disk, missing rights.

    Raises:
        DataError: in place of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise DataError(f"{error.filename or folder}: {error.strerror or type(error).__name__}", hint=_HINT) from error


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold a lock file, which the system lets go when the process dies.

    Raises:
        BlockingIOError: another process holds it and `wait` is False.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Be the only run in a cohort's folder, and clear what a killed one left of its lists, cases, pictures and logs.

    What people decide is written under a lock of its own, and may be written now.

    Raises:
        DataError: another run is at work there.
    """
    try:
        with locked(folder / _LOCK, wait=False):
            for name in (MANIFEST, QUARANTINE, INDEX):
                clear_leftovers(folder, name)
            for name in _OF_CASES:
                clear_leftovers(folder / name, "*")
            yield
    except BlockingIOError:
        raise DataError(f"another run is preprocessing into {folder}", hint="wait for it, or stop it") from None


def clear_leftovers(folder: Path, name: str) -> None:
    """Take away what killed writers left of the files called `name` (a pattern) in `folder`.

    Only for files that nobody else may be writing. What a file system keeps there for itself, such as a folder of
    snapshots or NFS's open files, stays.
    """
    for leftover in folder.glob(f".{name}.????????"):  # as `fpe_core.files.write_atomic` calls them
        if leftover.is_file() and not leftover.name.startswith(".nfs"):
            leftover.unlink(missing_ok=True)
