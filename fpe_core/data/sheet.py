"""The case table as a file: header and lines, before any cell is read."""

import csv
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from fpe_core.data.dictionary import COLUMNS, REQUIRED
from fpe_core.data.mapping import TableMapping
from fpe_core.errors import CaseTableInvalid

NOTE = "note_"
"""Columns whose name starts so are the site's own remarks and are not read."""


@dataclass(frozen=True)
class Line:
    """One row.

    Attributes:
        number: line of the file on which it starts, counted from 1.
        cells: without spaces around them; None where the line's quotation marks leave no cells to speak of.
    """

    number: int
    cells: tuple[str, ...] | None


@dataclass(frozen=True)
class Sheet:
    """A table's text.

    Attributes:
        headers: as they stand in the file.
        places: where each of the platform's columns stands in a line, for those that the table has.
        lines: all rows that are not empty.
    """

    headers: tuple[str, ...]
    places: Mapping[str, int]
    lines: tuple[Line, ...]


def read_sheet(path: Path, mapping: TableMapping) -> Sheet:
    """Read the file and find its columns.

    Raises:
        CaseTableInvalid: no such file, not a table in the form that the mapping says, a column that nobody defined, a
            required or mapped column that is missing, a header that stands twice, or no row at all.
    """
    form = mapping.file
    separator = "\t" if form.separator == "tab" else form.separator
    encoding = "utf-8-sig" if form.encoding == "utf-8" else form.encoding
    try:
        with path.open(encoding=encoding, newline="") as file:
            found = list(_lines(file, separator))
    except FileNotFoundError:
        raise CaseTableInvalid(f"{path}: no such file", hint="data.cases in the site file names this path") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        detail = str(error) if isinstance(error, csv.Error) else type(error).__name__
        raise CaseTableInvalid(
            f"{path}: not a table of text in {form.encoding.upper()} ({detail})",
            hint="save the sheet as CSV UTF-8, or say its form under `file` in the mapping",
        ) from None
    headers = (found[0].cells or ()) if found else ()
    places = _places(path, headers, mapping)
    if len(found) < 2:
        raise CaseTableInvalid(f"{path}: expected one row per case, got none")
    return Sheet(headers, places, tuple(found[1:]))


def _lines(file: Iterator[str], separator: str) -> Iterator[Line]:
    reader = csv.reader(file, delimiter=separator, strict=True)
    end, width = 0, 0
    while True:
        start = end + 1
        try:
            cells = tuple(cell.strip() for cell in next(reader))
        except StopIteration:
            return
        except csv.Error as error:
            if not width or reader.line_num > start:
                raise csv.Error(f"line {start}: {error}") from None
            yield Line(start, None)
        else:
            if any(cells):
                width = width or _filled(cells)
                yield Line(start, cells[: max(width, _filled(cells))])
        end = reader.line_num


def _filled(cells: tuple[str, ...]) -> int:
    """Number of cells up to the last one that is not empty. Spreadsheets write empty ones behind the last column."""
    return max(place + 1 for place, cell in enumerate(cells) if cell)


def _places(path: Path, headers: tuple[str, ...], mapping: TableMapping) -> dict[str, int]:
    where = f"{path}:1"
    read = {*COLUMNS, *(mapping.header_of(name) for name in mapping.named)} - set(mapping.ignore)
    if twice := next((name for name in headers if name in read and headers.count(name) > 1), None):
        raise CaseTableInvalid(f"{where}: column {twice}: stands here twice")
    places = {name: _place(where, headers, name, mapping.header_of(name)) for name in mapping.named}
    taken = {mapping.header_of(name) for name in mapping.named}
    for place, header in enumerate(headers):
        if header in taken or header.startswith(NOTE) or header in mapping.ignore:
            continue
        if header in places:
            raise CaseTableInvalid(
                f"{where}: column {header}: stands here twice, once as {mapping.header_of(header)}",
                hint=f"add {header} to `ignore` in the mapping, or take its entry out",
            )
        if header in COLUMNS:
            places[header] = place
        elif not any(fnmatchcase(header, pattern) for pattern in mapping.ignore):
            raise _unknown(where, header)
    for name in REQUIRED:
        if name not in places:
            raise CaseTableInvalid(f"{where}: column {name}: required, and missing")
    return places


def _place(where: str, headers: tuple[str, ...], name: str, header: str) -> int:
    if header in headers:
        return headers.index(header)
    near = difflib.get_close_matches(header, headers, n=1, cutoff=0.5)
    raise CaseTableInvalid(
        f"{where}: column {header}: the mapping reads {name} from it, and it is missing",
        hint=f"did you mean {near[0]!r}?" if near else "correct the header in the mapping",
    )


def _unknown(where: str, header: str) -> CaseTableInvalid:
    near = difflib.get_close_matches(header.casefold(), COLUMNS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else "map or ignore it in the mapping, or let its name start with note_"
    if ";" in header or "\t" in header:
        hint = "separate columns by commas, or say under `file` in the mapping what separates them"
    return CaseTableInvalid(
        f"{where}: column {header or '(empty)'}: unknown, expected one of {', '.join(COLUMNS)}", hint=hint
    )
