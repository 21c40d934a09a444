"""The identity of a file: the hash of its bytes."""

import hashlib
from pathlib import Path

from fpe_core.errors import CaseFileMissing, CaseFileUnreadable


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, as hexadecimal digits.

    Raises:
        CaseFileMissing: there is no such file.
        CaseFileUnreadable: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise CaseFileMissing(f"{path}: no such file") from None
    except OSError as error:
        raise CaseFileUnreadable(f"{path}: cannot be read ({type(error).__name__})") from error
