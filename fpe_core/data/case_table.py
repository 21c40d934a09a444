"""A site's case table: one CSV row per case, with image paths, clinical columns and outcome columns.

sheet.py           the file: header and lines
mapping.py         the site's own names, codes, units and marks
dictionary.py      what each column is
cells.py, rows.py  from text to `CaseRow`, or what is wrong
combinations.py    values that cannot be true together
table_problems.py  problems of rows and between rows
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fpe_core.config.site import SiteData
from fpe_core.data.case_row import IMAGE_COLUMNS, CaseRow, Grade, ImageColumn, OcclusionSite
from fpe_core.data.dictionary import COLUMNS, DICTIONARY
from fpe_core.data.mapping import TableMapping, load_mapping
from fpe_core.data.rows import RowReader
from fpe_core.data.sheet import read_sheet
from fpe_core.data.table_problems import BadValues, ReadRow, RowProblem, between_rows
from fpe_core.errors import CaseTableInvalid

__all__ = [
    "COLUMNS", "DICTIONARY", "IMAGE_COLUMNS", "BadValues", "CaseRow", "CaseTable", "Grade", "ImageColumn",
    "OcclusionSite", "RowProblem", "read_case_table", "read_site_table",
]  # fmt: skip


@dataclass(frozen=True)
class CaseTable:
    """A case table, as far as it is usable.

    Attributes:
        rows: the usable cases in the file's order.
        synthetic: True when the cases are phantoms.
        problems: everything that is wrong with single rows, by line.
        quarantined: error code of each case that is set aside and has an id of its own. A case id that stands twice is
            one entry.
        num_rows: rows of the file, usable or not.
    """

    rows: tuple[CaseRow, ...]
    synthetic: bool
    problems: tuple[RowProblem, ...] = ()
    quarantined: Mapping[str, str] = field(default_factory=dict)
    num_rows: int = 0

    @property
    def nameless_rows(self) -> int:
        """Rows that are set aside and are not in `quarantined` on their own, for want of an id of their own."""
        return max(0, self.num_rows - len(self.rows) - len(self.quarantined))

    def set_aside_by_code(self) -> dict[str, int]:
        """Rows that were set aside, by the code of their first problem; rows without a usable id count too."""
        return dict(Counter(_code_by_line(self.problems).values()))


def read_case_table(
    path: Path, *, mapping: TableMapping | None = None, bad_values: BadValues = "quarantine"
) -> CaseTable:
    """Read and check a case table (docs/case-table.md). Image files are not opened here.

    A row that is not usable is set aside with a code and the others go on.

    Args:
        path: the CSV file.
        mapping: the site's own form; None for the platform's.
        bad_values: what becomes of a clinical, outcome or image value that is not usable: its case is set aside, or
            the value counts as missing. A row without usable ids, of the wrong shape, or that stands twice is always
            set aside.

    Raises:
        CaseTableInvalid: no such file, not a table, a column that nobody defined or that is missing, a header that
            stands twice, no row, or phantoms among real cases.
    """
    mapping = mapping or TableMapping()
    sheet = read_sheet(path, mapping)
    reader = RowReader(sheet, mapping, path.parent, bad_values)
    read = [reader.read(line) for line in sheet.lines]
    found = [problem for row in read for problem in row.problems]
    problems = tuple(sorted((*found, *between_rows(read, bad_values)), key=lambda problem: problem.line))
    aside = _code_by_line(problems)
    quarantined = {row.case_id: aside[row.line] for row in read if row.case_id is not None and row.line in aside}
    unknown = _unknown_by_line(problems)
    rows = tuple(
        row.row.model_copy(update=dict.fromkeys(unknown[row.line]))
        for row in read
        if row.row is not None and row.line not in aside
    )
    return CaseTable(rows, _synthetic(path, read), problems, quarantined, len(read))


def read_site_table(data: SiteData) -> CaseTable:
    """The site's table as its site file says: with its mapping, and its rule for values that are not usable.

    Raises:
        CaseTableInvalid: as `read_case_table`.
        ConfigError: the mapping file is wrong.
    """
    mapping = load_mapping(data.mapping) if data.mapping else None
    return read_case_table(data.cases, mapping=mapping, bad_values=data.bad_values)


def _code_by_line(problems: Sequence[RowProblem]) -> dict[int, str]:
    codes: dict[int, str] = {}
    for problem in problems:
        if problem.effect == "case set aside":
            codes.setdefault(problem.line, problem.code)
    return codes


def _unknown_by_line(problems: Sequence[RowProblem]) -> Mapping[int, set[str]]:
    """Columns that count as missing in a row that is used."""
    columns: dict[int, set[str]] = defaultdict(set)
    for problem in problems:
        columns[problem.line].update(name for name in problem.column.split(", ") if name in CaseRow.model_fields)
    return columns


def _synthetic(path: Path, read: Sequence[ReadRow]) -> bool:
    told = [row for row in read if not any(problem.column == "synthetic" for problem in row.problems)]
    kinds = {row.row.synthetic for row in told if row.row is not None}
    if len(kinds) > 1:
        raise CaseTableInvalid(f"{path}: column synthetic: expected phantoms only or real cases only, got both")
    return kinds == {True}
