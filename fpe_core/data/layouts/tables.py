"""Small tables of a data set: CSV, TSV, or the first sheet of a spreadsheet (XLSX), as rows of text."""

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as Xml

from fpe_core.errors import ImportFailed

Row = dict[str, str]
"""Cells by header, without spaces around; an empty header's cells are dropped."""
SUFFIXES: Final = (".csv", ".tsv", ".xlsx")
_LARGEST_BYTES: Final = 50_000_000
_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_UNREADABLE: Final = (
    OSError, ValueError, LookupError, RuntimeError, csv.Error, zipfile.BadZipFile, zlib.error, Xml.ParseError,
)  # fmt: skip
"""What reading another program's file can end in; RuntimeError is an archive with a password."""
_HINT = "save it again as CSV UTF-8 with one header line"


def read_table(path: Path) -> list[Row]:
    """All rows below the header; empty ones are dropped.

    Raises:
        ImportFailed: not a table of its kind, no header, or a header that stands twice.
    """
    try:
        lines = list(_sheet_lines(path) if path.suffix.lower() == ".xlsx" else _text_lines(path))
    except _UNREADABLE as error:
        raise ImportFailed(f"{path}: not a readable table ({type(error).__name__})", hint=_HINT) from None
    lines = [[cell.strip() for cell in line] for line in lines]
    lines = [line for line in lines if any(line)]
    if not lines:
        raise ImportFailed(f"{path}: expected a header line, got an empty table", hint=_HINT)
    header = lines[0]
    if twice := sorted({name for name in header if name and header.count(name) > 1}):
        raise ImportFailed(f"{path}: the column {twice[0]!r} stands in the header twice", hint=_HINT)
    return [{name: cell for name, cell in zip(header, line, strict=False) if name} for line in lines[1:]]


def _text_lines(path: Path) -> Iterator[list[str]]:
    if path.stat().st_size > _LARGEST_BYTES:
        raise ValueError("too large for a clinical table")
    text = path.read_text(encoding="utf-8-sig")
    first = text.split("\n", 1)[0]
    separator = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
    yield from csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)


def _sheet_lines(path: Path) -> Iterator[list[str]]:
    """Cells of the first sheet; a number as it is stored, a time of day as a share of a day."""
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > _LARGEST_BYTES:
            raise ValueError("too large for a clinical table")
        names = archive.namelist()
        shared = _xml(archive, "xl/sharedStrings.xml") if "xl/sharedStrings.xml" in names else None
        texts = [] if shared is None else [_text(item) for item in shared.iter(f"{_SHEET}si")]
        sheet = _xml(archive, "xl/worksheets/sheet1.xml")
    for row in sheet.iter(f"{_SHEET}row"):
        cells: dict[int, str] = {}
        for position, cell in enumerate(row.iter(f"{_SHEET}c")):
            cells[_column(cell.get("r"), position)] = _cell(cell, texts)
        yield [cells.get(i, "") for i in range(max(cells, default=-1) + 1)]


def _xml(archive: zipfile.ZipFile, name: str) -> Xml.Element:
    return Xml.fromstring(archive.read(name))  # noqa: S314 (bounded above; the parser refuses entity floods)


def _column(reference: str | None, position: int) -> int:
    """0 for A1, 26 for AA1; the cell's position where it does not say."""
    letters = re.match(r"[A-Z]{1,3}", reference or "")
    if letters is None:
        return position
    number = 0
    for letter in letters.group():
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1


def _cell(cell: Xml.Element, texts: list[str]) -> str:
    value = cell.findtext(f"{_SHEET}v") or ""
    match cell.get("t"):
        case "s":
            return texts[int(value)]
        case "inlineStr":
            return _text(cell)
    return value


def _text(element: Xml.Element) -> str:
    return "".join(part.text or "" for part in element.iter(f"{_SHEET}t"))
