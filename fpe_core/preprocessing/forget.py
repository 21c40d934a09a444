"""Takes away what was made from cases that the cohort no longer has: a patient may withdraw consent."""

from pathlib import Path

from fpe_core.errors import DataError
from fpe_core.preprocessing.decisions import drop_decisions
from fpe_core.preprocessing.manifest import load_manifest, load_quarantine
from fpe_core.preprocessing.storage import alone_in, storage_errors_told

_MADE_FROM_CASES = ("cases", "qc", "logs")


def forget_others(folder: Path) -> int:
    """Delete volumes, pictures, logs and decisions of cases that stand in neither list of a preprocessed cohort.

    The lists are those of the last run: it must have seen the table without the cases that are to go.

    Args:
        folder: the cohort's folder.

    Returns:
        How many files were deleted.

    Raises:
        DataError: the images of a listed case could not be read, so that its files cannot be told from the others;
            another run is at work; or the folder cannot be written.
    """
    with storage_errors_told(folder), alone_in(folder):
        ready, set_aside = load_manifest(folder).cases, load_quarantine(folder).cases
        unread = sorted(case_id for case_id, entry in set_aside.items() if not entry.key and entry.code != "FPE-218")
        if unread:
            raise DataError(
                f"{folder}: the images of {len(unread)} listed cases could not be read, the first is {unread[0]}",
                hint="bring the images, or take the rows out of the case table, and preprocess again",
            )
        keys = {Path(entry.file).stem for entry in ready.values()} | {entry.key for entry in set_aside.values()}
        gone = [path for name in _MADE_FROM_CASES for path in (folder / name).glob("*.*") if path.stem not in keys]
        for path in gone:
            path.unlink(missing_ok=True)
        drop_decisions(folder, keep=keys)
    return len(gone)
