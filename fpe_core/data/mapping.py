"""A site's own column names, codes, units and marks, and how they become the platform's (docs/case-table.md).

The mapping is a YAML file beside the site file. Its keys are made from the data dictionary: a column of codes takes
`codes`, a number takes `scale`, a date takes `date_format`, and nothing else is accepted there.
"""

from collections.abc import Mapping
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, create_model, model_validator

from fpe_core.config.base import FrozenModel
from fpe_core.config.loader import load_yaml
from fpe_core.data.dictionary import DICTIONARY, Column

Code = TypeVar("Code")
_YAML_WORDS: Final[Mapping[object, tuple[str, ...]]] = {
    True: ("yes", "true", "on"),
    False: ("no", "false", "off"),
    None: ("null", "~"),
}
"""YAML reads these words as values of its own; in a mapping they are what the table says."""


def as_number(text: str, decimal: str = ".") -> Fraction | None:
    """The number that `text` writes out with this decimal sign, exactly; None where it is none.

    Thousands separators are refused, because 1.234 may be meant either way.
    """
    digits = text.strip()
    if decimal != ".":
        if "." in digits:
            return None
        digits = digits.replace(decimal, ".")
    body = digits[1:] if digits[:1] in ("+", "-") else digits
    mantissa, mark, exponent = body.lower().partition("e")
    if not mantissa.replace(".", "", 1).isdecimal() or not mantissa.isascii():
        return None
    exponent_digits = exponent[1:] if exponent[:1] in ("+", "-") else exponent
    if mark and not (exponent_digits.isdecimal() and exponent_digits.isascii() and len(exponent_digits) < 3):
        return None
    return Fraction(digits)


def word_key(text: str, decimal: str = ".") -> str:
    """What all spellings of one cell share: `NA` and `na`, `-9` and `-9.0`, `01` and `1`."""
    plain = text.strip().casefold()
    number = as_number(plain, decimal)
    return plain if number is None else str(number)


def _words_of(item: object) -> tuple[str, ...]:
    if item is None or isinstance(item, bool):
        return _YAML_WORDS[item]
    return (str(item),)


def _as_words(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(word for item in value for word in _words_of(item))
    return value if isinstance(value, dict) else _words_of(value)


def _as_codes(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {word: _plain_code(code) for item, code in value.items() for word in _words_of(item)}


def _plain_code(code: object) -> object:
    return str(code) if isinstance(code, int | float) and not isinstance(code, bool) else code


def _exact_number(value: object) -> object:
    return str(value) if isinstance(value, float) else value


def _reads_dates(pattern: str) -> str:
    written = datetime(2021, 3, 14, 5, 6, 7).strftime(pattern)
    try:
        read_back = datetime.strptime(written, pattern).date()
    except ValueError:
        read_back = None
    if read_back != date(2021, 3, 14):
        raise ValueError("expected a format with day, month and year such as %d.%m.%Y")
    return pattern


Words = Annotated[tuple[str, ...], BeforeValidator(_as_words)]
Scale = Annotated[Fraction, BeforeValidator(_exact_number), Field(gt=0)]


class ColumnMapping(FrozenModel):
    """How one column stands in the site's table. A plain text in the YAML file is the column's name there."""

    column: Annotated[str, Field(min_length=1)] | None = None
    """The column's header in the site's table; default is the platform's own name. Two columns may share a header."""
    missing: Words = ()
    """What this column says where the value is not known, besides an empty cell and the marks under `missing`."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"column": value} if isinstance(value, str) else value


class IdMapping(ColumnMapping):
    """An id. Ids become names of files, so not every sign may stand in one."""

    replace: dict[Annotated[str, Field(min_length=1)], str] = Field(default_factory=dict)
    """Signs of the site's ids and what to put for each: a hyphen for the slash in 2021/0034. Two ids that become one
    are then the same case or patient."""


class NumberMapping(ColumnMapping):
    """A number, in the site's own unit."""

    scale: Scale = Fraction(1)
    """The table's number times this gives the platform's unit: 60 from hours to minutes, 1/12 from months to years."""


class DateMapping(ColumnMapping):
    """A day."""

    date_format: Annotated[str, AfterValidator(_reads_dates)] = "%Y-%m-%d"
    """How the table writes it, in the marks of strptime: %d.%m.%Y."""


class CodeMapping(ColumnMapping, Generic[Code]):
    """A code, or yes or no."""

    codes: Annotated[dict[str, Code], BeforeValidator(_as_codes)] | None = None
    """What each code of the site means; other codes are then unknown. Without it the platform's own codes hold."""


def _mapping_type(column: Column) -> type[ColumnMapping]:
    if column.kind == "yes or no":
        return CodeMapping[bool]
    if column.kind == "code":
        return CodeMapping[Literal[column.codes]]  # type: ignore[name-defined]  # the codes are data here
    if column.kind in ("number", "whole number"):
        return NumberMapping
    if column.kind == "id":
        return IdMapping
    return DateMapping if column.kind == "date" else ColumnMapping


_TYPES: Final = {name: _mapping_type(column) for name, column in DICTIONARY.items()}
ColumnMappings: Any = create_model(
    "ColumnMappings",
    __base__=FrozenModel,
    __doc__="One optional key per column of the dictionary.",
    **{name: (kind, kind()) for name, kind in _TYPES.items()},  # type: ignore[call-overload]  # names are data here
)


class FileForm(FrozenModel):
    """How the table is written."""

    separator: Literal[",", ";", "tab"] = ","
    """What stands between two cells."""
    decimal: Literal[".", ","] = "."
    """The decimal sign of numbers."""
    encoding: Literal["utf-8", "cp1252"] = "utf-8"
    """cp1252 is what older Windows programs write in Western Europe."""


class TableMapping(FrozenModel):
    """One site's table. The default is the platform's own form."""

    schema_version: Literal[1] = 1
    """Version of this file's format."""
    file: FileForm = FileForm()
    """Separator, decimal sign and encoding."""
    missing: Words = ()
    """What any cell says where the value is not known, besides being empty: NA, unknown, -9."""
    ignore: Words = ()
    """Columns of the site's table that are not read; * stands for any letters, so that "*" ignores all others."""
    columns: ColumnMappings = ColumnMappings()
    """The columns whose name, codes, unit or marks differ from the platform's."""

    def of(self, name: str) -> ColumnMapping:
        """How the platform's column `name` stands in this table."""
        found: ColumnMapping = getattr(self.columns, name)
        return found

    def header_of(self, name: str) -> str:
        """The header under which the platform's column `name` stands in this table."""
        return self.of(name).column or name

    @property
    def named(self) -> tuple[str, ...]:
        """The platform's columns that the mapping names, and which the table therefore must have."""
        return tuple(name for name in DICTIONARY if name in self.columns.model_fields_set)


def load_mapping(path: Path) -> TableMapping:
    """Read a mapping file.

    Raises:
        ConfigError: the file is missing, is not YAML, or does not fit `TableMapping`; with file and line.
    """
    return load_yaml(path, TableMapping)
