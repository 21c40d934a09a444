"""The clinical table as numbers between 0 and 1, and what stands for a missing one. The rule is never silent.

Two scalers of one form. `TableScaler.fit` takes range and fill-in values from training rows: for one hospital, fold by
fold. `declared_scaler` takes them from the table in `clinical_columns`: for a federation, where a column must mean the
same at every site (docs/decisions/0009-clinical-columns-in-a-federation.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from fpe_core.config.base import FrozenModel
from fpe_core.config.study import ClinicalColumn
from fpe_core.data.case_table import CaseRow
from fpe_core.data.clinical_columns import COLUMN_RULES, CTP_COLUMNS, column_value

FloatArray = NDArray[np.float64]
Finite = Annotated[float, Field(allow_inf_nan=False)]
MOST_MISSING_CTP: Final = 3
"""A case may lack this many CTP parameters (EJR 2025, section 2.2.2, second exclusion)."""


def raw_columns(rows: Sequence[CaseRow], columns: Sequence[ClinicalColumn]) -> FloatArray:
    """`(N, T)` float64: the rows' numbers in the columns' own units and codes, NaN where missing.

    Raises:
        ValueError: a column is not known or stands twice, or the columns have no order (a set).
    """
    names = checked_columns(columns)
    cells = [[column_value(row, name) for name in names] for row in rows]
    return np.array(cells, dtype=np.float64).reshape(len(rows), len(names))


def too_many_missing(row: CaseRow, columns: Sequence[ClinicalColumn] = CTP_COLUMNS) -> bool:
    """Whether the case is left out for lack of perfusion values: more than 3 of the CTP parameters are missing.

    All six count (`CTP_COLUMNS`), the two ratios too: the rule keeps cases out that would be made up of filled-in
    values, and a missing ratio is filled in like any other. So a case without Tmax > 6 s may lack no other volume.

    Args:
        row: the case.
        columns: what the model sees. CTP parameters that it does not see do not count: leaving them out brought 61
            patients back in the paper (table 4, model C), and an MR cohort has none.
    """
    return sum(column_value(row, name) is None for name in columns if name in CTP_COLUMNS) > MOST_MISSING_CTP


@dataclass(frozen=True)
class TableReport:
    """What a scaler did to a table. For the site's own log: it counts single patients.

    Attributes:
        num_rows: cases in the table.
        imputed: missing values that were filled in, by column; columns without any are left out.
        clipped: values outside the scaler's range that were moved to its end, likewise.
        constant: columns with one value in training, 0 in every case.
        empty: columns without a value in training, 0 in every case.
    """

    num_rows: int
    imputed: dict[ClinicalColumn, int]
    clipped: dict[ClinicalColumn, int]
    constant: tuple[ClinicalColumn, ...]
    empty: tuple[ClinicalColumn, ...]

    def __str__(self) -> str:
        """One line for a log."""
        said = [
            f"filled in {_listed(self.imputed)}" if self.imputed else "nothing filled in",
            f"clipped {_listed(self.clipped)}" if self.clipped else "",
            f"constant {', '.join(self.constant)}" if self.constant else "",
            f"without any value {', '.join(self.empty)}" if self.empty else "",
        ]
        return f"clinical columns of {self.num_rows} cases: " + "; ".join(filter(None, said))


def _listed(counts: dict[ClinicalColumn, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


@dataclass(frozen=True, eq=False)
class ScaledTable:
    """`values` `(N, T)` float64 in [0, 1], and what was done to get there."""

    values: FloatArray
    report: TableReport


class TableScaler(FrozenModel):
    """Maps raw columns to [0, 1]: missing to `fill`, then `low` to 0 and `high` to 1, values beyond to the nearer end.

    JSON by `model_dump_json` and `model_validate_json`, exact to the last bit. A fitted one holds single patients'
    values (the youngest, the largest volume): it stays at the site.
    """

    columns: tuple[ClinicalColumn, ...]
    """The table's columns, in order."""
    low: tuple[Finite, ...]
    """What becomes 0, by column, in the column's unit."""
    high: tuple[Finite, ...]
    """What becomes 1. Equal to `low`: the column is constant and becomes 0."""
    fill: tuple[Finite, ...]
    """What stands for a missing value, in the column's unit."""
    empty: tuple[ClinicalColumn, ...] = ()
    """Columns that had no value in training."""

    @model_validator(mode="after")
    def _is_a_scale(self) -> Self:
        checked_columns(self.columns)
        if not len(self.columns) == len(self.low) == len(self.high) == len(self.fill):
            raise ValueError(f"low, high and fill should have a number for each of {len(self.columns)} columns")
        if any(low > high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError("low should be at most high in every column")
        return self

    @classmethod
    def fit(cls, raw: FloatArray, columns: Sequence[ClinicalColumn]) -> "TableScaler":
        """The scale of the training rows, and of nothing else.

        Continuous columns go from the rows' minimum to their maximum; binary ones stay 0 and 1, ordinal ones are
        divided by their largest code. Missing values get the rows' median, or in a binary column the more frequent
        value (0 in a tie). A column of any kind that has one value only, or none, becomes 0.

        Args:
            raw: `(N, T)` from `raw_columns`, training rows only.
            columns: its columns.

        Raises:
            ValueError: no row, another number of columns than `raw` has, or an infinite value.
        """
        names = checked_columns(columns)
        _check_raw(raw, names)
        if not len(raw):
            raise ValueError("fitting a scaler needs at least one training row, got none")
        scales = [_fitted(raw[:, position], name) for position, name in enumerate(names)]
        return cls(
            columns=names,
            low=tuple(low for low, _, _ in scales),
            high=tuple(high for _, high, _ in scales),
            fill=tuple(fill for _, _, fill in scales),
            empty=tuple(name for name, cells in zip(names, raw.T, strict=True) if np.isnan(cells).all()),
        )

    def transform(self, raw: FloatArray) -> ScaledTable:
        """Scale a table of the same columns; each row by itself.

        Args:
            raw: `(N, T)` from `raw_columns`, NaN where missing.

        Raises:
            ValueError: another number of columns, or an infinite value.
        """
        _check_raw(raw, self.columns)
        low, high = np.array(self.low), np.array(self.high)
        missing, span = np.isnan(raw), high - low
        outside = ((raw < low) | (raw > high)) & (span > 0)
        inside = np.clip(np.where(missing, self.fill, raw), low, high)
        values = (inside - low) / np.where(span > 0, span, 1.0)
        constant = tuple(
            name for name, width in zip(self.columns, span, strict=True) if width == 0 and name not in self.empty
        )
        report = TableReport(len(raw), self._counts(missing), self._counts(outside), constant, self.empty)
        return ScaledTable(values, report)

    def _counts(self, which: NDArray[np.bool_]) -> dict[ClinicalColumn, int]:
        return {name: int(count) for name, count in zip(self.columns, which.sum(axis=0), strict=True) if count}


def declared_scaler(columns: Sequence[ClinicalColumn]) -> TableScaler:
    """The scale of `COLUMN_RULES`: the same at every site, and no patient's value in it."""
    names = checked_columns(columns)
    rules = [COLUMN_RULES[name] for name in names]
    return TableScaler(
        columns=names,
        low=tuple(rule.low for rule in rules),
        high=tuple(rule.high for rule in rules),
        fill=tuple(rule.fill for rule in rules),
    )


def checked_columns(columns: Sequence[ClinicalColumn]) -> tuple[ClinicalColumn, ...]:
    """The columns as a tuple.

    Raises:
        ValueError: a column is not known or stands twice, or the columns have no order (a set).
    """
    if isinstance(columns, str) or not isinstance(columns, Sequence):
        raise ValueError(f"columns should be a list or tuple, whose order counts, got a {type(columns).__name__}")
    if unknown := [name for name in columns if name not in COLUMN_RULES]:
        raise ValueError(f"clinical column {unknown[0]!r} is not known, expected one of {', '.join(COLUMN_RULES)}")
    if len(set(columns)) != len(columns):
        raise ValueError(f"each clinical column should stand once, got {', '.join(columns)}")
    return tuple(columns)


def _check_raw(raw: FloatArray, columns: Sequence[ClinicalColumn]) -> None:
    if raw.ndim != 2 or raw.shape[1] != len(columns):
        raise ValueError(f"the table should be [N, {len(columns)}] ({', '.join(columns)}), got {list(raw.shape)}")
    if np.isinf(raw).any():
        raise ValueError("the table should be finite, or NaN where a value is missing; got an infinite value")


def _fitted(cells: FloatArray, column: ClinicalColumn) -> tuple[float, float, float]:
    """Low, high and fill of one column's training values."""
    rule, known = COLUMN_RULES[column], cells[~np.isnan(cells)]
    if not len(known):
        return 0.0, 0.0, 0.0
    low, high = float(known.min()), float(known.max())
    fill = float(known.mean() > 0.5) if rule.kind == "binary" else float(np.median(known))
    if low == high or rule.kind == "continuous":
        return low, high, fill
    return rule.low, rule.high, fill
