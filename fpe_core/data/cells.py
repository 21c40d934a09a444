"""One cell of a case table: from what stands there to the value that the dictionary declares, or why not."""

import os
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import partial
from pathlib import PurePath
from typing import Final

from fpe_core.data.case_row import FIRST_DATE, IDENTIFIER, LAST_DATE
from fpe_core.data.dictionary import Column
from fpe_core.data.mapping import CodeMapping, DateMapping, IdMapping, NumberMapping, TableMapping, as_number, word_key
from fpe_core.errors import RowCodeUnmapped, RowValueOutOfRange

Value = str | int | float | bool | date
CellReader = Callable[[str], Value | None]
"""Takes a cell without the spaces around it; None is a missing value.

Raises:
    RowValueOutOfRange: a number, date, id or path that the dictionary does not allow.
    RowCodeUnmapped: a code that neither dictionary nor mapping define.
"""

_YES_OR_NO: Final[Mapping[str, bool]] = {
    word: yes for yes, words in ((True, "1 yes true y t on"), (False, "0 no false n f off")) for word in words.split()
}
_MOST_BYTES_OF_A_NAME: Final = 255
_MOST_BYTES_OF_A_PATH: Final = 4000
_MOST_SHOWN: Final = 60


def cell_reader(column: Column, mapping: TableMapping) -> CellReader:
    """How cells of `column` are read in a table of this form: a code in any case, a number in the mapping's unit."""
    own = mapping.of(column.name)
    decimal = mapping.file.decimal
    missing = {word_key(word) for word in (*mapping.missing, *own.missing)}
    read = _reader(column, mapping)

    def reader(text: str) -> Value | None:
        if not text or (missing and word_key(text, decimal) in missing):
            return None
        return read(text)

    return reader


def _reader(column: Column, mapping: TableMapping) -> Callable[[str], Value]:
    own, decimal = mapping.of(column.name), mapping.file.decimal
    if isinstance(own, NumberMapping):
        return partial(_number, column, own, decimal)
    if isinstance(own, DateMapping):
        return partial(_date, column, own)
    if isinstance(own, CodeMapping):
        return partial(_code, _codes(column, own), _expected(column, own), decimal)
    if isinstance(own, IdMapping):
        return partial(_identifier, column, own)
    return partial(_path, column)


def _codes(column: Column, own: CodeMapping[Value]) -> Mapping[str, Value]:
    if own.codes is not None:
        return {word_key(word): value for word, value in own.codes.items()}
    return _YES_OR_NO if column.kind == "yes or no" else {word_key(code): code for code in column.codes}


def _expected(column: Column, own: CodeMapping[Value]) -> str:
    return column.expected if own.codes is None else f"one of {', '.join(own.codes)} (codes in the mapping)"


def _code(codes: Mapping[str, Value], expected: str, decimal: str, text: str) -> Value:
    value = codes.get(word_key(text, decimal))
    if value is None:
        raise RowCodeUnmapped(f"expected {expected}, got {_cut(text)}")
    return value


def _number(column: Column, own: NumberMapping, decimal: str, text: str) -> float | int:
    written = as_number(text, decimal)
    if written is None:
        sign = " with a decimal comma" if decimal == "," else ""
        raise RowValueOutOfRange(f"expected {column.expected}{sign}, got {_cut(text)}")
    number = written * own.scale
    whole = column.kind == "whole number"
    if not (column.low or 0) <= number <= (column.high or 0) or (whole and number.denominator != 1):
        scaled = f", which is {float(number):g} {column.unit}" if own.scale != 1 else ""
        raise RowValueOutOfRange(f"expected {column.expected}, got {_cut(text)}{scaled}")
    return int(number) if whole else float(number)


def _date(column: Column, own: DateMapping, text: str) -> date:
    try:
        day = datetime.strptime(text, own.date_format).date()
    except ValueError:
        day = None
    if day is None or not FIRST_DATE <= day <= LAST_DATE:
        raise RowValueOutOfRange(f"expected {column.expected}, written {own.date_format}, got {_cut(text)}")
    return day


def _identifier(column: Column, own: IdMapping, text: str) -> str:
    plain = text
    for sign, stand_in in own.replace.items():
        plain = plain.replace(sign, stand_in)
    if not re.fullmatch(IDENTIFIER, plain):
        raise RowValueOutOfRange(
            f"expected {column.expected} (`replace` in the mapping rewrites others), got {_cut(text)}"
        )
    return plain


def _path(column: Column, text: str) -> str:
    longest = max((len(os.fsencode(part)) for part in PurePath(text).parts), default=0)
    if not text.isprintable() or longest > _MOST_BYTES_OF_A_NAME or len(os.fsencode(text)) > _MOST_BYTES_OF_A_PATH:
        raise RowValueOutOfRange(f"expected {column.expected}, got {_cut(text)}")
    return text


def _cut(text: str) -> str:
    return repr(text) if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]!r}…"
