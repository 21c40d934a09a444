"""A hospital's clinical table joined to imported cases, by way of the link table's patient ids."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from fpe_core.data.case_table import COLUMNS, IMAGE_COLUMNS
from fpe_core.errors import ImportFailed

CLINICAL_COLUMNS = tuple(name for name in COLUMNS if name not in (*IMAGE_COLUMNS, "case_id", "patient_id", "synthetic"))
"""Columns of docs/case-table.md that a clinical table may fill."""


@dataclass(frozen=True)
class ClinicalTable:
    """The columns that may go on, and the rows.

    Attributes:
        columns: names of the columns kept.
        dropped: names of all others but the patient's.
        rows: line, patient id and the kept cells.
    """

    columns: tuple[str, ...]
    dropped: tuple[str, ...]
    rows: tuple[tuple[int, str, dict[str, str]], ...] = field(repr=False)


@dataclass(frozen=True)
class ImportedCase:
    """A case that a row may belong to. Patient and day are identifying and stay in memory."""

    case_id: str
    patient_key: str = field(repr=False)
    day: date | None = field(repr=False)


@dataclass(frozen=True)
class Join:
    """Cells by case id, and for each row that fits no case its line and why."""

    cells: dict[str, dict[str, str]]
    unjoined: dict[int, str]


def read_clinical(path: Path, patient_column: str, keep: Sequence[str]) -> ClinicalTable:
    """Read a CSV, comma or semicolon, UTF-8, with a header line.

    Kept are columns named as in docs/case-table.md, and those in `keep`. Everything else is dropped, so that no column
    that nobody thought of carries a name or a number out of the hospital's own table.

    Raises:
        ImportFailed: no such file, not such a table, or a column that was asked for is missing.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ImportFailed(f"{path}: no such file", hint="--clinical names a CSV file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ImportFailed(
            f"{path}: cannot be read as UTF-8 text ({type(error).__name__})", hint="save the sheet as CSV UTF-8"
        ) from None
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ",")
    header = [name.strip() for name in next(reader, [])]
    wanted = (patient_column, *keep)
    if missing := [name for name in wanted if header.count(name) != 1]:
        raise ImportFailed(
            f"{path}:1: expected one column {missing[0]!r}, got {', '.join(header) or 'nothing'}",
            hint="--patient-column and --keep name columns as the header spells them",
        )
    reserved = {patient_column, "case_id", "patient_id", "synthetic", *IMAGE_COLUMNS}
    if taken := [name for name in wanted[1:] if name in reserved]:
        raise ImportFailed(
            f"--keep {taken[0]}: patient ids are not kept, and the import fills this column itself", hint="leave it out"
        )
    columns = tuple(name for name in header if name != patient_column and (name in CLINICAL_COLUMNS or name in keep))
    try:
        lines = ((reader.line_num, cells) for cells in reader)
        rows = tuple(_rows(path, lines, header, patient_column, columns))
    except csv.Error as error:
        raise ImportFailed(f"{path}:{reader.line_num}: not a CSV table ({error})") from None
    dropped = tuple(name for name in header if name not in (*columns, patient_column))
    return ClinicalTable(columns, dropped, rows)


def _rows(
    path: Path,
    lines: Iterator[tuple[int, list[str]]],
    header: Sequence[str],
    patient_column: str,
    columns: Sequence[str],
) -> Iterator[tuple[int, str, dict[str, str]]]:
    for line, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise ImportFailed(f"{path}:{line}: expected {len(header)} cells as in the header, got {len(cells)}")
        row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        yield line, row[patient_column], {name: row[name] for name in columns}


def join(table: ClinicalTable, cases: Sequence[ImportedCase]) -> Join:
    """Give each row the one case that it is about.

    A row with `treatment_date` belongs to the patient's first imaging on that day or the day before: what comes after
    may show the treatment's result. A row without one belongs to the patient's case where there is one row and one
    case. Anything else stays unjoined: a label on the wrong scan is worse than none.
    """
    of_patient: dict[str, list[ImportedCase]] = {}
    for case in cases:
        of_patient.setdefault(case.patient_key.strip(), []).append(case)
    rows_of = Counter(patient for _, patient, _ in table.rows)
    fits: dict[int, str] = {}
    unjoined: dict[int, str] = {}
    for line, patient, cells in table.rows:
        found = _case_of(cells, of_patient.get(patient, []), rows_of[patient])
        if isinstance(found, ImportedCase):
            fits[line] = found.case_id
        else:
            unjoined[line] = found
    taken = Counter(fits.values())
    unjoined |= {line: "another row fits the same case" for line, case_id in fits.items() if taken[case_id] > 1}
    cells_of: Mapping[int, dict[str, str]] = {line: cells for line, _, cells in table.rows}
    joined = {case_id: cells_of[line] for line, case_id in fits.items() if line not in unjoined}
    return Join(joined, dict(sorted(unjoined.items())))


def _case_of(cells: Mapping[str, str], cases: Sequence[ImportedCase], num_rows: int) -> ImportedCase | str:
    if not cases:
        return "no imported case of this patient"
    if not cells.get("treatment_date"):
        if len(cases) == 1 and num_rows == 1:
            return cases[0]
        return "several cases or rows of this patient, and no treatment_date"
    try:
        treated = date.fromisoformat(cells["treatment_date"])
    except ValueError:
        return "treatment_date is not a day YYYY-MM-DD"
    near = [case for case in cases if case.day is not None and timedelta(0) <= treated - case.day <= timedelta(days=1)]
    # `cases` come in order of time.
    return near[0] if near else "no imaging on the day of treatment or the day before"
