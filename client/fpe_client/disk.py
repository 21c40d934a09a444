"""What the disk refuses while an import is at work, as an error with a hint."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fpe_core.errors import ImportFailed


@contextmanager
def disk_told(out: Path) -> Iterator[None]:
    """Turn what the disk refuses into an error for a person: rights, a full disk, a share that is gone.

    Single scans that cannot be read have codes of their own and do not get here.

    Raises:
        ImportFailed: a file or folder could not be read or written; `out` is named where the system names none.
    """
    try:
        yield
    except OSError as error:
        raise ImportFailed(
            f"{error.filename or out}: cannot be read or written ({error.strerror or type(error).__name__})",
            hint=f"{out} must be a folder that you may write to, with room; what is ready there stays",
        ) from None
