"""Odds ratios of the clinical columns, as the rLVO paper reports them (EJR 2025, section 3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import statsmodels.api as sm
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog

from fpe_core.config.study import ClinicalColumn
from fpe_core.data.tabular import FloatArray, checked_columns
from fpe_core.errors import DataError, NotEnoughCases

_SEPARATED: Final = 1e-3
"""Sum of margins of standardised cases from which on a direction counts as separating; the solver's slack is 1e-7."""


@dataclass(frozen=True)
class OddsRatio:
    """One column of a logistic regression on all columns at once.

    Attributes:
        column: whose odds ratio it is.
        odds_ratio: factor on the odds of label 1 for one unit more of this column (`COLUMN_RULES[column].unit`: a
            year, an NIHSS point, a ml, 1 against 0), the others unchanged.
        low: lower end of Wald's 95 % confidence interval.
        high: upper end.
        p: two-sided p-value of Wald's test that the odds ratio is 1.
        num_cases: complete cases that the regression saw; the same for all its columns.
    """

    column: ClinicalColumn
    odds_ratio: float
    low: float
    high: float
    p: float
    num_cases: int


def odds_ratios(raw: FloatArray, labels: ArrayLike, *, columns: Sequence[ClinicalColumn]) -> tuple[OddsRatio, ...]:
    """Multivariate logistic regression by maximum likelihood, without penalty or class weights.

    Complete cases only: a filled-in value would count as a measured one and make the intervals too narrow. Compare
    `num_cases` with the table's length; where much is missing the cases that remain are no fair sample.

    Args:
        raw: `(N, T)` from `raw_columns`, NaN where missing.
        labels: `(N,)` 0 or 1.
        columns: the table's columns. The result has their order.

    Raises:
        NotEnoughCases: too few complete cases for so many columns, or none of a class.
        DataError: a column is constant or follows from others, or columns separate the classes: some odds ratio is
            then not defined, or infinite.
        ValueError: shapes differ, a label is neither 0 nor 1, or no column is given.
    """
    names, y = checked_columns(columns), np.asarray(labels)
    if not names or raw.shape != (len(y), len(names)) or y.ndim != 1 or not np.isin(y, (0, 1)).all():
        raise ValueError(f"labels should be 0 or 1, one for each row of the table {list(raw.shape)}, got {y.shape}")
    complete = ~np.isnan(raw).any(axis=1)
    known, y = raw[complete], y[complete]
    _check_cases(known, y, num_rows=len(raw))
    scale = _spread(known, names)
    standard = (known - known.mean(axis=0)) / scale
    _check_identifiable(standard, y, names)
    # Newton's method on standardised columns; an odds ratio per unit is the power 1 / spread of one per spread.
    fitted = sm.Logit(y, sm.add_constant(standard, has_constant="add")).fit(
        disp=False, maxiter=100, warn_convergence=False
    )
    if not fitted.mle_retvals["converged"]:
        raise DataError(
            f"the logistic regression on {', '.join(names)} did not converge on {len(y)} complete cases",
            hint="leave out columns that say nearly the same",
        )
    centre = np.exp(fitted.params[1:] / scale)
    low, high = np.exp(fitted.conf_int(alpha=0.05)[1:] / scale[:, None]).T
    return tuple(
        OddsRatio(name, float(centre[i]), float(low[i]), float(high[i]), float(fitted.pvalues[1 + i]), len(y))
        for i, name in enumerate(names)
    )


def _check_cases(known: FloatArray, y: NDArray[np.int64], *, num_rows: int) -> None:
    num_positive, num_columns = int(y.sum()), known.shape[1]
    if len(y) <= num_columns + 1 or num_positive in (0, len(y)):
        raise NotEnoughCases(
            f"odds ratios of {num_columns} columns need more than {num_columns + 1} complete cases, of both classes; "
            f"of {num_rows} rows {len(y)} are complete, {num_positive} of them positive",
            hint="leave out the columns that are missing most often",
        )


def _spread(known: FloatArray, columns: Sequence[ClinicalColumn]) -> FloatArray:
    """Standard deviation of each column."""
    if same := [name for name, cells in zip(columns, known.T, strict=True) if np.ptp(cells) == 0]:
        raise DataError(
            f"{', '.join(same)}: one value in all {len(known)} complete cases, so that no odds ratio is defined",
            hint="leave these columns out",
        )
    spread: FloatArray = known.std(axis=0)
    return spread


def _check_identifiable(standard: FloatArray, y: NDArray[np.int64], columns: Sequence[ClinicalColumn]) -> None:
    design = np.column_stack([np.ones(len(standard)), standard])
    for count in range(2, design.shape[1] + 1):
        if np.linalg.matrix_rank(design[:, :count], tol=1e-8 * np.sqrt(len(design))) < count:
            raise DataError(
                f"{columns[count - 2]} follows from the columns before it ({', '.join(columns[: count - 2])})",
                hint="leave one of them out",
            )
    if _separates(design, y):
        alone = [name for i, name in enumerate(columns, start=1) if _separates(design[:, [0, i]], y)]
        raise DataError(
            f"the classes are separated, wholly or but for ties, by {' and by '.join(alone) or ', '.join(columns)}: "
            "an odds ratio is infinite",
            hint="a yes-or-no column with no positive or no negative case on one side does this; leave it out",
        )


def _separates(design: FloatArray, y: NDArray[np.int64]) -> bool:
    """Whether some direction puts no case on the wrong side: a linear programme (Konis, thesis, Oxford 2007)."""
    margins = np.where(y == 1, 1.0, -1.0)[:, None] * design
    best = linprog(-margins.sum(axis=0), A_ub=-margins, b_ub=np.zeros(len(y)), bounds=(-1, 1))
    return bool(-best.fun > _SEPARATED)
