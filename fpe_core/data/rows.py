"""One row of a case table, with everything that is wrong with it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fpe_core.data.case_row import IMAGE_COLUMNS, CaseRow
from fpe_core.data.cells import Value, cell_reader
from fpe_core.data.combinations import impossible_in_case
from fpe_core.data.dictionary import DICTIONARY, REQUIRED
from fpe_core.data.mapping import TableMapping
from fpe_core.data.sheet import Line, Sheet
from fpe_core.data.table_problems import BadValues, Effect, ReadRow, RowProblem, effect_of
from fpe_core.errors import CaseError, RowCombinationImpossible, RowIncomplete

_ALWAYS_SET_ASIDE = frozenset({*REQUIRED, "synthetic"})
"""Columns without which a row is no case; a phantom must never pass for a patient."""


class RowReader:
    """Reads the lines of one sheet.

    Args:
        sheet: header and places of the columns.
        mapping: the form of the table.
        folder: relative image paths are relative to it.
        bad_values: what becomes of a value that is not usable.
    """

    def __init__(self, sheet: Sheet, mapping: TableMapping, folder: Path, bad_values: BadValues) -> None:
        self._sheet = sheet
        self._folder = folder
        self._bad_values = bad_values
        self._readers = {name: cell_reader(DICTIONARY[name], mapping) for name in sheet.places}

    def read(self, line: Line) -> ReadRow:
        """The row, or as much of it as is usable."""
        if line.cells is None or len(line.cells) != len(self._sheet.headers):
            return self._misshapen(line)
        values, problems = self._values(line, line.cells)
        case_id = str(values["case_id"]) if "case_id" in values else None
        row = self._row(values) if set(REQUIRED) <= set(values) else None
        if row is not None:
            row = self._possible(line, row, problems)
        named = tuple(replace(problem, case_id=case_id) for problem in problems)
        return ReadRow(line.number, case_id, row, named)

    def _misshapen(self, line: Line) -> ReadRow:
        """A cell is missing or too many, so that all behind it stand in the wrong column; only a first one is safe."""
        said = "expected a second quotation mark only at the end of a cell"
        case_id = None
        if line.cells is not None:
            said = f"expected {len(self._sheet.headers)} cells as in the header, got {len(line.cells)}"
            if self._sheet.places["case_id"] == 0:
                case_id = self._first_id(line.cells[0])
        problem = RowProblem(line.number, "", RowIncomplete.code, said, case_id, "case set aside")
        return ReadRow(line.number, case_id, None, (problem,))

    def _first_id(self, cell: str) -> str | None:
        try:
            value = self._readers["case_id"](cell)
        except CaseError:
            return None
        return None if value is None else str(value)

    def _values(self, line: Line, cells: tuple[str, ...]) -> tuple[dict[str, Value], list[RowProblem]]:
        values: dict[str, Value] = {}
        problems: list[RowProblem] = []
        for name, place in self._sheet.places.items():
            try:
                value = self._readers[name](cells[place])
                if value is not None:
                    values[name] = value
                elif name in REQUIRED:
                    raise RowIncomplete(f"expected {DICTIONARY[name].expected}, got an empty cell")
            except CaseError as error:
                problems.append(self._problem(line, name, error))
        return values, problems

    def _problem(self, line: Line, name: str, error: CaseError) -> RowProblem:
        header = self._sheet.headers[self._sheet.places[name]]
        message = str(error) if header == name else f"{header}: {error}"
        effect: Effect = "case set aside" if name in _ALWAYS_SET_ASIDE else effect_of(self._bad_values)
        return RowProblem(line.number, name, error.code, message, None, effect)

    def _row(self, values: Mapping[str, Value]) -> CaseRow:
        images = {name: self._folder / str(values[name]) for name in IMAGE_COLUMNS if name in values}
        others = {name: value for name, value in values.items() if name not in IMAGE_COLUMNS}
        return CaseRow.model_validate({**others, "images": images})

    def _possible(self, line: Line, row: CaseRow, problems: list[RowProblem]) -> CaseRow:
        """The row without the columns that contradict each other; adds to `problems`."""
        effect = effect_of(self._bad_values)
        wrong: set[str] = set()
        for columns, said in impossible_in_case(row):
            wrong.update(columns)
            code = RowCombinationImpossible.code
            problems.append(RowProblem(line.number, ", ".join(columns), code, said, None, effect))
        return row.model_copy(update=dict.fromkeys(wrong)) if wrong else row
