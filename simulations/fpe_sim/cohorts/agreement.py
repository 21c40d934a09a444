"""Whether a printed number of table 1 lies in the interval of what a cohort gives: 99 %, without assumed shapes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, binomtest, chi2

from fpe_core.data.case_row import CaseRow
from fpe_core.evaluation.folds import student_half_width
from fpe_sim.cohorts.printed import Mean, Median, Printed, PrintedRow, PrintedTable, Share

LEVEL: Final = 0.99
_QUARTILES: Final = (("first", 0.25), ("median", 0.5), ("third", 0.75))
Interval = tuple[float, float]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """One printed number beside the interval of the same number here.

    Attributes:
        row, group: of the table.
        number: share (percent), mean, sd, first, median or third.
        printed: as a number.
        low, high: ends of the interval.
        contradicted: the paper's own other numbers exclude this one.
    """

    row: str
    group: str
    number: str
    printed: float
    low: float
    high: float
    contradicted: bool

    @property
    def inside(self) -> bool:
        """Whether the interval has the printed number, to the last printed digit."""
        return self.low - 0.005 <= self.printed <= self.high + 0.005

    def __str__(self) -> str:
        return (
            f"{self.row}, {self.group}: {self.number} printed {self.printed:g}, here {self.low:.2f} to {self.high:.2f}"
        )


def comparisons(table: PrintedTable, cases: Mapping[str, Sequence[CaseRow]]) -> list[Comparison]:
    """Every printed number of the groups that are given.

    Args:
        table: as printed.
        cases: patients by the table's group heading; groups may be missing.
    """
    return [
        found
        for row in table.rows
        for (group, size), cell in zip(table.groups, row.cells, strict=True)
        for values in [values_of(row, cases.get(group, ()))]
        if len(values)
        for found in _compared(row, group, size, cell, values)
    ]


def values_of(row: PrintedRow, cases: Sequence[CaseRow]) -> Values:
    """`(N,)` known values of a row's measure."""
    return np.array([value for case in cases if (value := row.measure(case)) is not None], dtype=np.float64)


def _compared(row: PrintedRow, group: str, size: int, cell: Printed, values: Values) -> Iterator[Comparison]:
    for number, printed, (low, high) in _numbers(cell, size, values):
        yield Comparison(row.name, group, number, printed, low, high, number in row.unlike)


def _numbers(cell: Printed, size: int, values: Values) -> Iterator[tuple[str, float, Interval]]:
    if isinstance(cell, Share):
        printed = 100 * cell.count / size if cell.percent is None else cell.percent
        yield "share", printed, share_interval(int(values.sum()), len(values))
    elif isinstance(cell, Mean):
        yield "mean", cell.mean, _mean_interval(values)
        yield "sd", cell.sd, _sd_interval(values)
    else:
        for (name, rank), printed in zip(_QUARTILES, _as_printed(cell), strict=True):
            yield name, printed, quantile_interval(values, rank)


def _as_printed(cell: Median) -> tuple[float, float, float]:
    return cell.first, cell.median, cell.third


def share_interval(count: int, total: int, *, level: float = LEVEL) -> Interval:
    """Clopper and Pearson's interval of a frequency, in percent."""
    interval = binomtest(count, total).proportion_ci(level, "exact")
    return 100 * float(interval.low), 100 * float(interval.high)


def quantile_interval(values: Values, rank: float, *, level: float = LEVEL) -> Interval:
    """Interval of a quantile between two order statistics: at least `level`, whatever the distribution."""
    ordered, tail = np.sort(values), (1 - level) / 2
    low = int(binom.ppf(tail, len(ordered), rank)) - 1
    high = int(binom.ppf(1 - tail, len(ordered), rank))
    return (
        float(ordered[low]) if low >= 0 else -np.inf,
        float(ordered[high]) if high < len(ordered) else np.inf,
    )


def _mean_interval(values: Values) -> Interval:
    half = student_half_width(float(values.std(ddof=1)), len(values), level=LEVEL)
    return float(values.mean() - half), float(values.mean() + half)


def _sd_interval(values: Values) -> Interval:
    free = len(values) - 1
    squares = free * float(values.var(ddof=1))
    return (
        float(np.sqrt(squares / chi2.ppf((1 + LEVEL) / 2, free))),
        float(np.sqrt(squares / chi2.ppf((1 - LEVEL) / 2, free))),
    )
