"""Models of the clinical table alone: what images must beat.

The rLVO paper compares its networks with logistic regressions on NIHSS, on ASPECTS, on both and on all clinical columns
(EJR 2025, section 2.4 and table 2). It prints neither penalty nor class weights; ours are stated below. The boosted
trees are an addition: they need no straight line between a column and the log odds, and no filled-in value.
"""

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Final, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from fpe_core.config.base import FrozenModel
from fpe_core.config.study import ClinicalColumn
from fpe_core.data.clinical_columns import RLVO_COLUMNS
from fpe_core.data.tabular import FloatArray, TableScaler, checked_columns
from fpe_core.errors import ModelError, NotEnoughCases

log = logging.getLogger(__name__)

Baseline = Literal["nihss", "aspects", "nihss-aspects", "all-clinical"]
BASELINES: Final[Mapping[Baseline, tuple[ClinicalColumn, ...]]] = MappingProxyType({
    "nihss": ("nihss",),
    "aspects": ("aspects",),
    "nihss-aspects": ("nihss", "aspects"),
    "all-clinical": RLVO_COLUMNS,
})  # fmt: skip
"""The columns of the rLVO paper's clinical baselines. "All" are the 18 of its networks, without ASPECTS."""
INVERSE_PENALTY: Final = 1.0
"""C of the L2 penalty on columns in [0, 1]: scikit-learn's own. Without any, 18 columns on the 60 positive cases of a
fold overfit, and a column that separates the classes has no finite coefficient."""


class ClinicalModel(Protocol):
    """A fitted model of the clinical table."""

    @property
    def columns(self) -> tuple[ClinicalColumn, ...]:
        """The columns it was fitted on, in order."""

    def predict_proba(self, raw: FloatArray, *, columns: Sequence[ClinicalColumn]) -> FloatArray:
        """`(N,)` probabilities of label 1 for a table `(N, T)` from `raw_columns`.

        Raises:
            ModelError: `columns` are not those of the fit, in the same order.
        """


class LogisticModel(FrozenModel):
    """Logistic regression on scaled columns. JSON by `model_dump_json`; the scaler in it stays at the site."""

    scaler: TableScaler
    """Range and fill-in values of the training rows."""
    coefficients: tuple[Annotated[float, Field(allow_inf_nan=False)], ...]
    """Log odds from a column's 0 to its 1, by column."""
    intercept: Annotated[float, Field(allow_inf_nan=False)]
    """Log odds where every scaled column is 0. With balanced classes, not the cohort's prevalence."""

    @model_validator(mode="after")
    def _a_coefficient_for_each_column(self) -> "LogisticModel":
        if len(self.coefficients) != len(self.scaler.columns):
            raise ValueError(f"coefficients should be {len(self.scaler.columns)}, got {len(self.coefficients)}")
        return self

    @property
    def columns(self) -> tuple[ClinicalColumn, ...]:
        """The columns it was fitted on, in order."""
        return self.scaler.columns

    @classmethod
    def fit(cls, raw: FloatArray, labels: ArrayLike, *, columns: Sequence[ClinicalColumn]) -> "LogisticModel":
        """Fit scaler and regression on training rows.

        Both classes weigh the same (`class_weight="balanced"`), so that 0.5 is a threshold of use where one case in
        six is positive. The fit draws no random number.

        Args:
            raw: `(N, T)` from `raw_columns`, NaN where missing.
            labels: `(N,)` 0 or 1.
            columns: the table's columns, for example `BASELINES["nihss"]`.

        Raises:
            NotEnoughCases: a class has no case.
            ValueError: shapes differ, a label is neither 0 nor 1, or no column is given.
        """
        y = _checked_labels(raw, labels, columns)
        scaler = TableScaler.fit(raw, columns)
        table = scaler.transform(raw)
        log.info("training rows: %s", table.report)
        fitted = LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced", tol=1e-6, max_iter=1000)
        fitted.fit(table.values, y)
        return cls(scaler=scaler, coefficients=tuple(fitted.coef_[0].tolist()), intercept=float(fitted.intercept_[0]))

    def predict_proba(self, raw: FloatArray, *, columns: Sequence[ClinicalColumn]) -> FloatArray:
        """`(N,)` probabilities of label 1 for a table `(N, T)` from `raw_columns`.

        Raises:
            ModelError: `columns` are not those of the fit, in the same order.
            ValueError: the table has another number of columns.
        """
        _check_same(self.columns, columns)
        table = self.scaler.transform(raw)
        log.info("predicted rows: %s", table.report)
        probabilities: FloatArray = expit(table.values @ np.array(self.coefficients) + self.intercept)
        return probabilities


class BoostedModel:
    """Gradient-boosted trees on the raw columns; a missing value goes down the branch that the training rows chose.

    Lives for one analysis: it has no file form, and the same rows and seed give it again.
    """

    def __init__(self, columns: tuple[ClinicalColumn, ...], trees: HistGradientBoostingClassifier) -> None:
        self.columns = columns
        self._trees = trees

    @classmethod
    def fit(cls, raw: FloatArray, labels: ArrayLike, *, columns: Sequence[ClinicalColumn], seed: int) -> "BoostedModel":
        """Fit 100 small trees (depth 3, at least 10 cases a leaf, learning rate 0.05), both classes weighing the same.

        The cohorts have hundreds of cases: deeper trees learn them by heart, and there is none to spare for stopping
        early.

        Args:
            raw: `(N, T)` from `raw_columns`, NaN where missing.
            labels: `(N,)` 0 or 1.
            columns: the table's columns.
            seed: the same rows and seed give the same trees.

        Raises:
            NotEnoughCases: a class has no case.
            ValueError: shapes differ, a label is neither 0 nor 1, or no column is given.
        """
        y = _checked_labels(raw, labels, columns)
        trees = HistGradientBoostingClassifier(
            max_iter=100, max_depth=3, min_samples_leaf=10, learning_rate=0.05,
            early_stopping=False, class_weight="balanced", random_state=seed % 2**32,
        )  # fmt: skip
        # scikit-learn 1.9 fails on a column without any value; as a constant no tree looks at it.
        filled = np.where(np.isnan(raw).all(axis=0), 0.0, raw)
        return cls(checked_columns(columns), trees.fit(filled, y))

    def predict_proba(self, raw: FloatArray, *, columns: Sequence[ClinicalColumn]) -> FloatArray:
        """`(N,)` probabilities of label 1 for a table `(N, T)` from `raw_columns`.

        Raises:
            ModelError: `columns` are not those of the fit, in the same order.
            ValueError: the table has another number of columns.
        """
        _check_same(self.columns, columns)
        if raw.ndim != 2 or raw.shape[1] != len(self.columns):
            raise ValueError(f"the table should be [N, {len(self.columns)}], got {list(raw.shape)}")
        probabilities: FloatArray = self._trees.predict_proba(raw)[:, 1]
        return probabilities


def _checked_labels(raw: FloatArray, labels: ArrayLike, columns: Sequence[ClinicalColumn]) -> NDArray[np.int64]:
    y = np.asarray(labels)
    if not columns:
        raise ValueError("a clinical model needs at least one column, got none")
    if raw.shape != (len(y), len(columns)) or y.ndim != 1 or not np.isin(y, (0, 1)).all():
        raise ValueError(
            f"labels should be 0 or 1 and the table [{len(y)}, {len(columns)}], got {list(raw.shape)}, "
            f"labels {list(y.shape)}"
        )
    if len(np.unique(y)) < 2:
        raise NotEnoughCases(f"a clinical model needs cases of both classes, got {len(y)} of one")
    return y.astype(np.int64)


def _check_same(fitted: tuple[ClinicalColumn, ...], given: Sequence[ClinicalColumn]) -> None:
    if fitted != checked_columns(given):
        raise ModelError(
            f"the model was fitted on the columns {', '.join(fitted)}, in this order; got {', '.join(given)}",
            hint="read the table with raw_columns(rows, model.columns)",
        )
