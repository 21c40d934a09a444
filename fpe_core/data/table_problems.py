"""What is wrong with single rows of a case table, and what becomes of their cases."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from fpe_core.data.case_row import CaseRow
from fpe_core.data.combinations import impossible_in_patient
from fpe_core.errors import CaseError, PatientTwice, RowCombinationImpossible, RowTwice

BadValues = Literal["quarantine", "set_missing"]
"""What becomes of a value that is not usable: its case is set aside, or the value counts as missing."""
MOST_NAMED: Final = 5
"""Other lines that a message names: a column of ids may say the same on every line."""
Effect = Literal["case set aside", "column set missing"]


@dataclass(frozen=True)
class RowProblem:
    """One thing that is wrong with one row. It stays at the site; only its code may leave, counted.

    Attributes:
        line: of the file, counted from 1.
        column: the platform's name; several are separated by a comma and a space, and it is empty for the whole row.
        code: of `fpe_core.errors`, FPE-230 to FPE-235.
        message: what was expected and what stands there.
        case_id: None where the row has no usable one.
        effect: what becomes of it.
    """

    line: int
    column: str
    code: str
    message: str
    case_id: str | None
    effect: Effect


@dataclass(frozen=True)
class ReadRow:
    """A row of which at least the line is known.

    Attributes:
        line: of the file.
        case_id: None where it is not usable.
        row: None where an id is not usable; columns that could not be read are missing in it.
        problems: of this row alone.
    """

    line: int
    case_id: str | None
    row: CaseRow | None
    problems: tuple[RowProblem, ...]


def effect_of(bad_values: BadValues) -> Effect:
    """What becomes of a clinical, outcome or image column that is not usable."""
    return "case set aside" if bad_values == "quarantine" else "column set missing"


def between_rows(rows: Sequence[ReadRow], bad_values: BadValues) -> Iterator[RowProblem]:
    """Cases that stand twice, patients that stand twice for one treatment, and patients that contradict themselves.

    Each problem is told of every row that has a part in it: which of them is right is not for a program to say.
    """
    named = [(row.case_id, row) for row in rows if row.case_id is not None]
    twice = {id(row) for same in _groups(named) for row in same}
    for same in _groups(named):
        for row in same:
            yield _problem(row, "case_id", RowTwice, f"{row.case_id} stands also on {_others(row, same)}")
    patients = [(row.row.patient_id, row) for row in rows if row.row is not None and id(row) not in twice]
    for same in _groups(patients):
        yield from _within_patient(same, bad_values)


def _within_patient(same: Sequence[ReadRow], bad_values: BadValues) -> Iterator[RowProblem]:
    cases = [row.row for row in same if row.row is not None]
    dates = Counter(case.treatment_date for case in cases)
    contradictions = list(impossible_in_patient(cases))
    for row in same:
        if row.row is None:
            continue
        if None in dates or dates[row.row.treatment_date] > 1:
            said = f"the patient stands also on {_others(row, same)}; each treatment needs a treatment_date of its own"
            yield _problem(row, "patient_id", PatientTwice, said)
        for columns, said in contradictions:
            if all(getattr(row.row, column) is not None for column in columns):
                where = f"{said}; see also {_others(row, same)}"
                yield _problem(row, ", ".join(columns), RowCombinationImpossible, where, effect_of(bad_values))


def _groups(keyed: Iterable[tuple[str, ReadRow]]) -> list[list[ReadRow]]:
    groups: dict[str, list[ReadRow]] = defaultdict(list)
    for key, row in keyed:
        groups[key].append(row)
    return [same for same in groups.values() if len(same) > 1]


def _others(row: ReadRow, same: Sequence[ReadRow]) -> str:
    near = [str(other.line) for other in same[: MOST_NAMED + 1] if other is not row][:MOST_NAMED]
    more = len(same) - 1 - len(near)
    return "line " + ", ".join(near) + (f" and {more} more" if more else "")


def _problem(
    row: ReadRow, column: str, kind: type[CaseError], message: str, effect: Effect = "case set aside"
) -> RowProblem:
    return RowProblem(row.line, column, kind.code, message, row.case_id, effect)
