"""The data dictionary: every column of a case table with kind, unit, range, codes and meaning.

Read off the fields of `CaseRow`, which declare all of it. docs/case-table.md shows the same tables to readers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from fpe_core.data.case_row import FIRST_DATE, IMAGE_COLUMNS, LAST_DATE, CaseRow, ImageColumn, Unit

Kind = Literal["id", "image", "yes or no", "number", "whole number", "code", "date"]
Group = Literal["Who", "Reasons to exclude", "Images", "Clinic", "Outcome"]
_FIRST_OF: Final[Mapping[str, Group]] = MappingProxyType({
    "case_id": "Who", "significant_haemorrhage": "Reasons to exclude", "age_years": "Clinic", "num_passes": "Outcome",
})  # fmt: skip
_IMAGE_MEANINGS: Final[Mapping[ImageColumn, str]] = MappingProxyType({
    "ncct": "Non-contrast CT, in HU.",
    "cta": "CT angiography, in HU.",
    "vessels": "Mask of the arteries on the CTA's voxels, 0 and 1, from a tool of the site's own; "
    "made from the CTA where it is absent.",
    "dwi": "Diffusion-weighted MR, b1000 trace image.",
    "adc": "ADC map, in 10⁻⁶ or 10⁻³ mm²/s (recognised).",
    "flair": "FLAIR MR.",
    "b0": "Diffusion series, b = 0.",
    "b1000": "Diffusion series, b = 1000 s/mm²; stands in for `dwi`, and with `b0` gives ADC.",
})  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column of a case table.

    Attributes:
        name: as it stands in the header of a table in the platform's own form.
        group: heading under which the documentation lists it.
        kind: what a cell holds.
        meaning: in words.
        unit: what one step of a number is; empty for what is no number.
        low: smallest number that is allowed, in `unit`; None for what is no number.
        high: largest number that is allowed, likewise.
        codes: what a cell of kind `code` may say.
        required: whether a row without it is set aside.
        missing: what a cell says where the value is not known; a site's mapping may add marks of its own.
    """

    name: str
    group: Group
    kind: Kind
    meaning: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    codes: tuple[str, ...] = ()
    required: bool = False
    missing: tuple[str, ...] = ("",)

    @property
    def expected(self) -> str:
        """What a cell must say, in words: "a whole number from 0 to 42 (point)"."""
        if self.kind in ("number", "whole number"):
            unit = f" ({self.unit})" if self.unit != "1" else ""
            return f"a {self.kind} from {self.low:g} to {self.high:g}{unit}"
        if self.kind == "code":
            return f"one of {', '.join(self.codes)}"
        return {
            "id": "up to 64 letters, digits, dots, hyphens or underscores, the first a letter or digit",
            "image": "the path of a file",
            "yes or no": "1 or 0",
            "date": f"a date from {FIRST_DATE} to {LAST_DATE}",
        }[self.kind]


def _columns() -> dict[str, Column]:
    columns: list[Column] = []
    group: Group = "Who"
    for name, field in CaseRow.model_fields.items():
        if name == "images":
            continue
        group = _FIRST_OF.get(name, group)
        if name == "age_years":
            columns += [Column(image, "Images", "image", _IMAGE_MEANINGS[image]) for image in IMAGE_COLUMNS]
        columns.append(_column(name, group, field))
    return {column.name: column for column in columns}


def _column(name: str, group: Group, field: FieldInfo) -> Column:
    declared: Any = next((arm for arm in get_args(field.annotation) if arm is not type(None)), field.annotation)
    if get_origin(field.annotation) is Literal or get_origin(declared) is Literal:
        return Column(name, group, "code", field.description or "", codes=get_args(declared))
    python_type = get_args(declared)[0] if hasattr(declared, "__metadata__") else declared
    kind = _KINDS[python_type]
    if kind not in ("number", "whole number"):
        return Column(name, group, kind, field.description or "", required=field.is_required())
    limits: dict[str, Any] = TypeAdapter(declared).json_schema()
    unit = next(item.name for item in declared.__metadata__ if isinstance(item, Unit))
    return Column(name, group, kind, field.description or "", unit, float(limits["minimum"]), float(limits["maximum"]))


_KINDS: Final[Mapping[object, Kind]] = MappingProxyType({
    str: "id", bool: "yes or no", float: "number", int: "whole number", date: "date",
})  # fmt: skip

DICTIONARY: Final[Mapping[str, Column]] = MappingProxyType(_columns())
"""Every column that a case table may have, besides those whose name starts with `note_`."""
COLUMNS: Final[tuple[str, ...]] = tuple(DICTIONARY)
REQUIRED: Final[tuple[str, ...]] = tuple(column.name for column in DICTIONARY.values() if column.required)
