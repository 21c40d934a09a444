"""Logistic regressions of the clinical table, on the networks' own folds, and odds ratios (EJR 2025, section 3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fpe_core.config.study import ClinicalColumn
from fpe_core.data.case_table import CaseRow
from fpe_core.data.clinical_columns import RLVO_COLUMNS
from fpe_core.data.tabular import raw_columns
from fpe_core.errors import DataError
from fpe_core.evaluation.odds_ratios import OddsRatio, odds_ratios
from fpe_core.models.clinical import BASELINES, Baseline, LogisticModel
from fpe_sim.vdh_rlvo.cohort import Division, fold_numbers, labels_of
from fpe_sim.vdh_rlvo.judged import Folds, JudgedFold, judged_probabilities
from fpe_sim.vdh_rlvo.protocol import VdhProtocol

FEW_COLUMNS: Final[tuple[ClinicalColumn, ...]] = (
    "atrial_fibrillation", "nihss", "tmax_over_4_s_ml", "dyslipidaemia",
)  # fmt: skip
"""Those whose odds ratios the paper prints."""


def clinical_folds(division: Division, protocol: VdhProtocol) -> dict[Baseline, Folds]:
    """Each baseline, fitted on each fold's training cases.

    Raises:
        NotEnoughCases: a class has fewer patients than there are folds.
    """
    parts = fold_numbers(division.development, protocol)
    return {
        name: tuple(_fold(division, set(numbers), columns) for numbers in parts) for name, columns in BASELINES.items()
    }


def _fold(division: Division, validation_numbers: set[int], columns: Sequence[ClinicalColumn]) -> JudgedFold:
    rows = division.development
    train = [row for i, row in enumerate(rows) if i not in validation_numbers]
    validation = [row for i, row in enumerate(rows) if i in validation_numbers]
    model = LogisticModel.fit(raw_columns(train, columns), labels_of(train), columns=columns)
    seen, tested = (
        model.predict_proba(raw_columns(part, columns), columns=columns) for part in (validation, division.test)
    )
    return judged_probabilities(
        validation=seen, validation_labels=labels_of(validation), test=tested, test_labels=labels_of(division.test)
    )


@dataclass(frozen=True)
class FoundOddsRatios:
    """Odds ratios of a multivariate regression, and why they are of fewer columns than the paper's, if they are."""

    by_column: dict[ClinicalColumn, OddsRatio]
    num_columns: int
    remark: str


def found_odds_ratios(rows: Sequence[CaseRow]) -> FoundOddsRatios:
    """Of the 18 columns at once, or of the four that the paper prints where a cohort is too small for so many."""
    remark = ""
    for columns in (RLVO_COLUMNS, FEW_COLUMNS):
        try:
            found = odds_ratios(raw_columns(rows, columns), labels_of(rows), columns=columns)
        except DataError as error:
            remark = str(error)
        else:
            return FoundOddsRatios({ratio.column: ratio for ratio in found}, len(columns), remark)
    return FoundOddsRatios({}, 0, remark)
