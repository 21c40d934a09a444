"""What each clinical column is as a number: unit, code, range and fill-in value, and how it is read off a case.

The columns are those of the rLVO networks (EJR 2025, section 2.2.2) and ASPECTS. docs/clinical-models.md shows the same
table to readers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from fpe_core.config.study import ClinicalColumn
from fpe_core.data.case_table import CaseRow

OCCLUSION_CODES: Final[Mapping[str, int]] = MappingProxyType({"ica": 0, "m1": 1, "m2": 2, "m3": 3})
"""Steps from the terminal ICA along the middle cerebral artery. A vessel outside this chain has no code: missing."""


@dataclass(frozen=True)
class ColumnRule:
    """One clinical column.

    Attributes:
        kind: continuous and ordinal columns have an order and a median, binary ones a more frequent value.
        unit: what one step is; an odds ratio is per this unit.
        code: what the numbers mean.
        low: start of the declared range, in `unit`.
        high: end of the declared range.
        fill: stands for a missing value where no data may decide it: the median or the more frequent value of the
            rLVO paper's training cohort (EJR 2025, table 1).
    """

    kind: Literal["continuous", "binary", "ordinal"]
    unit: str
    code: str
    low: float
    high: float
    fill: float


def _yes_or_no(code: str, *, fill: float = 0.0) -> ColumnRule:
    return ColumnRule("binary", "1 against 0", code, 0.0, 1.0, fill)


def _volume(what: str, *, up_to_ml: float, fill_ml: float) -> ColumnRule:
    return ColumnRule("continuous", "ml", f"volume with {what}", 0.0, up_to_ml, fill_ml)


# Fill-in values that the paper does not print: no side is the more frequent, so 0; M1 is where most occlusions are.
# Volumes end where a measurement is as good as "very large": Tmax > 4 s can fill a hemisphere (about 600 ml).
COLUMN_RULES: Final[Mapping[ClinicalColumn, ColumnRule]] = MappingProxyType({
    "age_years": ColumnRule("continuous", "year", "age at admission", 0.0, 120.0, 81.0),
    "sex": _yes_or_no("F 1, M 0", fill=1.0),
    "hypertension": _yes_or_no("yes 1, no 0"),
    "dyslipidaemia": _yes_or_no("yes 1, no 0"),
    "diabetes": _yes_or_no("yes 1, no 0"),
    "smoker": _yes_or_no("yes 1, no 0"),
    "atrial_fibrillation": _yes_or_no("yes 1, no 0"),
    "nihss": ColumnRule("continuous", "point", "NIHSS at arrival", 0.0, 42.0, 15.0),
    "iv_thrombolysis": _yes_or_no("given 1, not given 0"),
    "unwitnessed_onset": _yes_or_no("unwitnessed or wake-up 1, witnessed 0"),
    "occlusion_side": _yes_or_no("left 1, right 0"),
    "occlusion_site": ColumnRule("ordinal", "step", "ica 0, m1 1, m2 2, m3 3; others missing", 0.0, 3.0, 1.0),
    "cbf_under_30_ml": _volume("CBF < 30 %", up_to_ml=200.0, fill_ml=0.0),
    "tmax_over_4_s_ml": _volume("Tmax > 4 s", up_to_ml=600.0, fill_ml=191.0),
    "tmax_over_6_s_ml": _volume("Tmax > 6 s", up_to_ml=400.0, fill_ml=102.0),
    "tmax_over_10_s_ml": _volume("Tmax > 10 s", up_to_ml=300.0, fill_ml=40.0),
    "hypoperfusion_intensity_ratio": ColumnRule("continuous", "1", "Tmax > 10 s / Tmax > 6 s", 0.0, 1.0, 0.43),
    "tmax4_to_tmax6_ratio": ColumnRule("continuous", "1", "Tmax > 4 s / Tmax > 6 s", 1.0, 5.0, 1.78),
    "aspects": ColumnRule("continuous", "point", "ASPECTS before treatment", 0.0, 10.0, 9.0),
})  # fmt: skip
"""The rule of every column that a model may see, in the order of `ClinicalColumn`."""

RLVO_COLUMNS: Final[tuple[ClinicalColumn, ...]] = tuple(name for name in COLUMN_RULES if name != "aspects")
"""The 18 columns of the rLVO networks and of their baseline on all clinical variables, which leaves ASPECTS out."""
CTP_COLUMNS: Final[tuple[ClinicalColumn, ...]] = (
    "cbf_under_30_ml", "tmax_over_4_s_ml", "tmax_over_6_s_ml", "tmax_over_10_s_ml",
    "hypoperfusion_intensity_ratio", "tmax4_to_tmax6_ratio",
)  # fmt: skip
"""What the rLVO paper calls CTP parameters."""


def column_value(row: CaseRow, column: ClinicalColumn) -> float | None:
    """A case's number in one column, in the column's own unit and code; None where it is missing.

    A ratio is missing where a volume of it is, and where the volume it divides by is 0 ml: no Tmax above 6 s leaves no
    ratio to speak of.
    """
    if column in _READERS:
        return _READERS[column](row)
    value: float | None = getattr(row, column)
    return None if value is None else float(value)


def _ratio(volume_ml: float | None, by_ml: float | None) -> float | None:
    return None if volume_ml is None or not by_ml else volume_ml / by_ml


def _code(value: str | None, codes: Mapping[str, int]) -> float | None:
    return None if value is None or value not in codes else float(codes[value])


_READERS: Final[Mapping[ClinicalColumn, Callable[[CaseRow], float | None]]] = MappingProxyType({
    "sex": lambda row: _code(row.sex, {"F": 1, "M": 0}),
    "occlusion_side": lambda row: _code(row.occlusion_side, {"left": 1, "right": 0}),
    "occlusion_site": lambda row: _code(row.occlusion_site, OCCLUSION_CODES),
    "hypoperfusion_intensity_ratio": lambda row: _ratio(row.tmax_over_10_s_ml, row.tmax_over_6_s_ml),
    "tmax4_to_tmax6_ratio": lambda row: _ratio(row.tmax_over_4_s_ml, row.tmax_over_6_s_ml),
})  # fmt: skip
