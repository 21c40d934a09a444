"""What every import of a layout ends in: cases.csv, the images that had to be converted, and import-report.json."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fpe_core.data.case_table import IMAGE_COLUMNS, CaseRow
from fpe_core.errors import CaseError, FpeError, ImportFailed
from fpe_core.imaging.content import file_sha256
from fpe_core.preprocessing.processed import write_private

Progress = Callable[[int, int], None]
"""Called after each subject with the number of subjects done and of all."""
TABLE: Final = "cases.csv"
REPORT: Final = "import-report.json"
CELL_COLUMNS: Final = tuple(
    name for name in CaseRow.model_fields if name not in {"case_id", "patient_id", "images", "synthetic"}
)


@dataclass(frozen=True)
class FoundCase:
    """One case of a layout.

    Attributes:
        case_id, patient_id: from the folder's name.
        images: absolute paths, by column of the case table.
        cells: clinical and outcome cells as text, by column; what is not known is left out.
        notes: what was left empty and why, for the site's own eyes.
    """

    case_id: str
    patient_id: str
    images: dict[str, Path]
    cells: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """A subject that gave no case."""

    subject: str
    code: str
    message: str
    hint: str

    @classmethod
    def because(cls, subject: str, error: FpeError) -> "LeftOut":
        """Left out for the reason that `error` gives."""
        return cls(subject, error.code, str(error), error.hint)


@dataclass(frozen=True)
class Imported:
    """A whole layout.

    Attributes:
        layout: bids or isles24.
        cases: in the order of the folders' names.
        left_out: subjects without a usable image, likewise.
        notes: what concerns the whole tree.
        synthetic: the tree says of itself that its patients are phantoms.
    """

    layout: str
    cases: tuple[FoundCase, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    synthetic: bool


def each_case(
    subjects: Sequence[Path], case_of: Callable[[Path], FoundCase], progress: Progress | None
) -> tuple[tuple[FoundCase, ...], tuple[LeftOut, ...]]:
    """The case of each subject's folder, or the reason why there is none; no subject stops the others."""
    cases: list[FoundCase] = []
    left_out: list[LeftOut] = []
    for done, subject in enumerate(subjects, start=1):
        try:
            cases.append(case_of(subject))
        except FpeError as error:
            left_out.append(LeftOut.because(subject.name, error))
        if progress:
            progress(done, len(subjects))
    return tuple(cases), tuple(left_out)


def check_out(folder: Path, out: Path) -> None:
    """Refuse an OUT that lies in the tree, which is only read.

    Raises:
        ImportFailed: no such folder to import, or OUT is it or lies in it.
    """
    if not folder.is_dir():
        raise ImportFailed(f"{folder}: no such folder", hint="give the folder that holds the data set")
    if out.resolve().is_relative_to(folder.resolve()):
        raise ImportFailed(f"{out}: lies in the folder to import, which is only read", hint="give --out another folder")


def check_table(out: Path, *, replace: bool) -> None:
    """Refuse to go on where a table was edited by hand, before anything is converted.

    Raises:
        ImportFailed: `cases.csv` is not as an import wrote it, and may not be replaced.
    """
    table = out / TABLE
    if not replace and table.exists() and file_sha256(table) not in _written_before(out):
        raise ImportFailed(
            f"{table}: is there already, and not as an import wrote it",
            hint="give another --out, or --replace to overwrite it",
        )


def _written_before(out: Path) -> tuple[str, ...]:
    """sha256 of the tables that imports wrote here; a report that cannot be read knows none."""
    try:
        known = json.loads((out / REPORT).read_bytes())["cases_csv_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return tuple(known) if isinstance(known, list) and all(isinstance(one, str) for one in known) else ()


def write_import(imported: Imported, out: Path, *, replace: bool) -> Path:
    """Write the case table and the report, readable by the owner only.

    The same tree gives the same bytes. A table that was edited by hand is replaced on demand only.

    Args:
        imported: what was found.
        out: folder, made where it is missing.
        replace: overwrite another table.

    Returns:
        Path of the case table.

    Raises:
        ImportFailed: there is no case, or another table is there and may not be replaced.
    """
    check_table(out, replace=replace)
    table, content = out / TABLE, case_table_bytes(imported, out)
    written = {hashlib.sha256(content).hexdigest()} if imported.cases else set()
    # The report knows the table before and after: a kill between the two writes is not taken for an edit.
    there = {file_sha256(table)} & set(_written_before(out)) if table.exists() else set()
    write_private(out / REPORT, _report(imported, sorted(written | there)))
    if not imported.cases:
        raise ImportFailed(
            f"none of {len(imported.left_out)} subjects gave a case; reasons: {_codes(imported.left_out)}",
            hint=f"{out / REPORT} has the reason for each",
        )
    write_private(table, content)
    return table


def case_table_bytes(imported: Imported, out: Path) -> bytes:
    """The case table as CSV, with the columns that any case fills; images in OUT are named relative to it."""
    images = [name for name in IMAGE_COLUMNS if any(name in case.images for case in imported.cases)]
    cells = [name for name in CELL_COLUMNS if any(name in case.cells for case in imported.cases)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case_id", "patient_id", *(["synthetic"] if imported.synthetic else []), *images, *cells])
    for case in imported.cases:
        marks = ["1"] if imported.synthetic else []
        paths = [_path(case.images[name], out) if name in case.images else "" for name in images]
        writer.writerow([case.case_id, case.patient_id, *marks, *paths, *(case.cells.get(name, "") for name in cells)])
    return text.getvalue().encode()


def _path(image: Path, out: Path) -> str:
    """As the table names an image: an original by its absolute path, a converted one so that OUT may be moved."""
    return str(image.relative_to(out)) if image.is_relative_to(out) else str(image.absolute())


def _report(imported: Imported, tables_sha256: Sequence[str]) -> bytes:
    document = {
        "schema_version": 1,
        "layout": imported.layout,
        "synthetic": imported.synthetic,
        "notes": imported.notes,
        "cases": [
            {"case_id": case.case_id, "images": sorted(case.images), "cells": sorted(case.cells), "notes": case.notes}
            for case in imported.cases
        ],
        "left_out": [vars(subject) for subject in imported.left_out],
        "cases_csv_sha256": tables_sha256,
    }
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _codes(left_out: Sequence[LeftOut]) -> str:
    return ", ".join(sorted({subject.code for subject in left_out})) or "no subject"


def note(what: str, error: CaseError) -> str:
    """A line for the report: what is empty, and the reason with its code."""
    return f"{what}: {error} [{error.code}]"
