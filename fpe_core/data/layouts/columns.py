"""From a public data set's clinical columns to those of the case table. What is not known, or not sure, stays empty."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from pydantic import ValidationError

from fpe_core.data.case_table import CaseRow
from fpe_core.data.layouts.imported import CELL_COLUMNS

_MISSING: Final = {"", "nan", "na", "n/a", "nat", "none", "null", "unknown", "-", "."}
_YES_OR_NO: Final = {"1": "1", "yes": "1", "y": "1", "true": "1", "0": "0", "no": "0", "n": "0", "false": "0"}
_SEX: Final = {"f": "F", "female": "F", "m": "M", "male": "M"}
_MINUTES_PER_DAY: Final = 1440
_LONGEST_SHARE_DAYS: Final = 30

ALIASES: Final[Mapping[str, str]] = {
    "age": "age_years",
    "sex": "sex",
    "gender": "sex",
    "nihss at admission": "nihss",
    "nihss admission": "nihss",
    "admission nihss": "nihss",
    "baseline nihss": "nihss",
    "ivt": "iv_thrombolysis",
    "thrombolysis": "iv_thrombolysis",
    "diabetes mellitus": "diabetes",
    "hyperlipidemia": "dyslipidaemia",
    "hyperlipidaemia": "dyslipidaemia",
    "dyslipidemia": "dyslipidaemia",
    "smoking": "smoker",
    "wake up": "unwitnessed_onset",
    "tici postinterventional": "final_mtici",
    "mtici postinterventional": "final_mtici",
    "mtici": "final_mtici",
    "number of passes": "num_passes",
    "passes": "num_passes",
}
"""Other data sets' headers in lower case, words apart, and our column."""


def plain(header: str) -> str:
    """A header in lower case with single spaces between its words."""
    return re.sub(r"[^a-z0-9]+", " ", header.lower()).strip()


_OWN: Final = {plain(name): name for name in CELL_COLUMNS}


def column_of(header: str) -> str | None:
    """Our column for a data set's header: our own name, or one of `ALIASES`."""
    return _OWN.get(plain(header)) or ALIASES.get(plain(header))


def clinical_cells(row: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Our cells from one row of another table, and a note on each that was not taken.

    Minutes from onset to imaging are the sum of "Onset to door" and "Door to imaging" (ISLES'24). A grade may be
    written with TICI before it, a yes as a word; a value that the case table would refuse stays empty.

    Args:
        row: cells by the other table's headers.
    """
    cells: dict[str, str] = {}
    notes: list[str] = []
    for header, text in row.items():
        column = column_of(header)
        if column is None or text.lower() in _MISSING:
            continue
        value = _reader(column)(text)
        if value is None or (column in cells and cells[column] != value):
            notes.append(f"{column}: empty, since {header!r} is not one known value")
            cells.pop(column, None)
        else:
            cells[column] = value
    if "onset_to_image_min" not in cells and (onset := _onset_to_image_min(row)) is not None:
        cells["onset_to_image_min"] = f"{onset:g}"
    return _allowed(cells, notes)


def _onset_to_image_min(row: Mapping[str, str]) -> float | None:
    by_header = {plain(header): text for header, text in row.items()}
    parts = [_minutes(by_header.get(name, "")) for name in ("onset to door", "door to imaging")]
    return None if None in parts else sum(part for part in parts if part is not None)


def _minutes(text: str) -> float | None:
    """H:MM or H:MM:SS, with whole days before it or not; a bare number is a spreadsheet's share of a day.

    A whole number above 0 is not sure: it may be minutes.
    """
    if match := re.fullmatch(r"(?:(\d+) days? )?(\d{1,3}):([0-5]\d)(?::([0-5]\d)(?:\.\d+)?)?", text):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return _MINUTES_PER_DAY * days + 60 * hours + minutes + round(seconds / 60, 2)
    number = _number(text)
    if number is None or not 0 <= float(number) < _LONGEST_SHARE_DAYS or (float(number) and float(number) % 1 == 0):
        return None
    return round(_MINUTES_PER_DAY * float(number), 1)


def _number(text: str) -> str | None:
    """A number as Python writes it, without a decimal part of zero."""
    try:
        value = float(text)
    except ValueError:
        return None
    return f"{value:.10g}"


def _grade(text: str) -> str | None:
    grade = re.sub(r"^[me]?tici|\s", "", text.lower()).removesuffix(".0")
    return grade if grade in {"0", "1", "2a", "2b", "2c", "3"} else None


def _yes_or_no(text: str) -> str | None:
    return _YES_OR_NO.get((_number(text) or text).lower())


def _sex(text: str) -> str | None:
    return _SEX.get(text.lower())


def _as_it_is(text: str) -> str:
    return text.lower()


def _reader(column: str) -> Callable[[str], str | None]:
    if column == "sex":
        return _sex
    if column in {"final_mtici", "mtici_after_first_pass"}:
        return _grade
    if column in {"occlusion_side", "occlusion_site", "treatment_date"}:
        return _as_it_is
    return _yes_or_no if "bool" in str(CaseRow.model_fields[column].annotation) else _number


def _allowed(cells: dict[str, str], notes: list[str]) -> tuple[dict[str, str], list[str]]:
    """Without the cells that a case table may not hold."""
    try:
        CaseRow.model_validate({**cells, "case_id": "c", "patient_id": "p", "images": {}})
    except ValidationError as error:
        wrong = sorted({str(problem["loc"][0]) for problem in error.errors()})
        notes += [f"{column}: empty, since {cells.pop(column)!r} is not allowed there" for column in wrong]
    return cells, notes
