"""What each clinical column is as a number: unit, code, range and fill-in value, and how it is read off a case.

The columns are those of the rLVO networks (EJR 2025, section 2.2.2) and ASPECTS. docs/clinical-models.md shows the same
table to readers. What a site's table may say is in `fpe_core.data.dictionary`; units come from there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from fpe_core.config.study import ClinicalColumn
from fpe_core.data.case_row import CaseRow
from fpe_core.data.dictionary import DICTIONARY

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


def _measured(name: str, code: str, *, fill: float, up_to: float | None = None) -> ColumnRule:
    """Unit and range are the dictionary's; `up_to` ends the range earlier, and larger values are moved to its end."""
    column = DICTIONARY[name]
    return ColumnRule("continuous", column.unit, code, column.low or 0.0, up_to or column.high or 0.0, fill)


# Fill-in values that the paper does not print: no side is the more frequent, so 0; M1 is where most occlusions are.
# Volumes end where a measurement is as good as "very large": Tmax > 4 s can fill a hemisphere (about 600 ml).
COLUMN_RULES: Final[Mapping[ClinicalColumn, ColumnRule]] = MappingProxyType({
    "age_years": _measured("age_years", "age at admission", fill=81.0),
    "sex": _yes_or_no("F 1, M 0", fill=1.0),
    "hypertension": _yes_or_no("yes 1, no 0"),
    "dyslipidaemia": _yes_or_no("yes 1, no 0"),
    "diabetes": _yes_or_no("yes 1, no 0"),
    "smoker": _yes_or_no("yes 1, no 0"),
    "atrial_fibrillation": _yes_or_no("yes 1, no 0"),
    "nihss": _measured("nihss", "NIHSS at arrival", fill=15.0),
    "iv_thrombolysis": _yes_or_no("given 1, not given 0"),
    "unwitnessed_onset": _yes_or_no("unwitnessed or wake-up 1, witnessed 0"),
    "occlusion_side": _yes_or_no("left 1, right 0"),
    "occlusion_site": ColumnRule("ordinal", "step", "ica 0, m1 1, m2 2, m3 3; others missing", 0.0, 3.0, 1.0),
    "cbf_under_30_ml": _measured("cbf_under_30_ml", "volume with CBF < 30 %", fill=0.0, up_to=200.0),
    "tmax_over_4_s_ml": _measured("tmax_over_4_s_ml", "volume with Tmax > 4 s", fill=191.0, up_to=600.0),
    "tmax_over_6_s_ml": _measured("tmax_over_6_s_ml", "volume with Tmax > 6 s", fill=102.0, up_to=400.0),
    "tmax_over_10_s_ml": _measured("tmax_over_10_s_ml", "volume with Tmax > 10 s", fill=40.0, up_to=300.0),
    "hypoperfusion_intensity_ratio": _measured(
        "hypoperfusion_intensity_ratio", "Tmax > 10 s / Tmax > 6 s", fill=0.43
    ),
    "tmax4_to_tmax6_ratio": _measured("tmax4_to_tmax6_ratio", "Tmax > 4 s / Tmax > 6 s", fill=1.78, up_to=5.0),
    "aspects": _measured("aspects", "ASPECTS before treatment", fill=9.0),
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

    A ratio follows from its two volumes. It is missing where the volume it divides by is 0 ml: no Tmax above 6 s leaves
    no ratio to speak of. Where a volume is missing, the ratio that the table itself has is taken.
    """
    if column in _READERS:
        return _READERS[column](row)
    value: float | None = getattr(row, column)
    return None if value is None else float(value)


def _ratio(volume_ml: float | None, by_ml: float | None, written: float | None) -> float | None:
    if volume_ml is None or by_ml is None:
        return written
    return volume_ml / by_ml if by_ml else None


def _code(value: str | None, codes: Mapping[str, int]) -> float | None:
    return None if value is None or value not in codes else float(codes[value])


_READERS: Final[Mapping[ClinicalColumn, Callable[[CaseRow], float | None]]] = MappingProxyType({
    "sex": lambda row: _code(row.sex, {"F": 1, "M": 0}),
    "occlusion_side": lambda row: _code(row.occlusion_side, {"left": 1, "right": 0}),
    "occlusion_site": lambda row: _code(row.occlusion_site, OCCLUSION_CODES),
    "hypoperfusion_intensity_ratio": lambda row: _ratio(
        row.tmax_over_10_s_ml, row.tmax_over_6_s_ml, row.hypoperfusion_intensity_ratio
    ),
    "tmax4_to_tmax6_ratio": lambda row: _ratio(
        row.tmax_over_4_s_ml, row.tmax_over_6_s_ml, row.tmax4_to_tmax6_ratio
    ),
})  # fmt: skip
