"""The folds that are held out, and what a model says about them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpe_core.config.study import Task
from fpe_core.data.case_row import CaseRow
from fpe_core.data.folds import patient_folds
from fpe_core.data.labels import label_of
from fpe_core.errors import DataError
from fpe_core.evaluation.discrimination import PredictionScores, prediction_scores
from fpe_core.evaluation.thresholds import Threshold
from fpe_core.seeds import derive_seed

TASK: Task = "recanalization"


@dataclass(frozen=True)
class HeldOut:
    """One fold: its own cases, and those of all the others.

    Attributes:
        number: from 1.
        development: cases to fit and choose with.
        test: cases that are held out.
    """

    number: int
    development: tuple[CaseRow, ...]
    test: tuple[CaseRow, ...]


@dataclass(frozen=True, eq=False)
class FoldPredictions:
    """What one fold's model says about the cases that were held out.

    Attributes:
        number: of the fold, from 1.
        probabilities: `(N,)` float64 in [0, 1], in the order of `HeldOut.test`.
        labels: `(N,)` int64, 0 or 1.
        threshold: chosen among the fold's development cases.
    """

    number: int
    probabilities: NDArray[np.float64]
    labels: NDArray[np.int64]
    threshold: Threshold

    @property
    def scores(self) -> PredictionScores:
        """All numbers of the held-out cases."""
        return prediction_scores(self.probabilities, self.labels, threshold=self.threshold)


@dataclass(frozen=True, eq=False)
class Pooled:
    """The held-out cases of all folds together, each predicted once.

    Attributes:
        probabilities: `(N,)` float64, of as many models as there are folds.
        labels: `(N,)` int64.
    """

    probabilities: NDArray[np.float64]
    labels: NDArray[np.int64]


def pooled(folds: Sequence[FoldPredictions]) -> Pooled:
    """All folds one after the other."""
    return Pooled(
        np.concatenate([fold.probabilities for fold in folds]), np.concatenate([fold.labels for fold in folds])
    )


def held_out_folds(rows: Sequence[CaseRow], *, num_folds: int, seed: int) -> tuple[HeldOut, ...]:
    """Divide cases into folds by patient, with about the same share of positive cases in each.

    Args:
        rows: included cases, all with a label.
        num_folds: K ≥ 2.
        seed: of the protocol.

    Raises:
        NotEnoughCases: a class has fewer patients than there are folds.
    """
    labels: dict[str, int] = {}
    for row in rows:
        labels[row.patient_id] = max(known_label(row), labels.get(row.patient_id, 0))
    fold_of = patient_folds(labels, num_folds=num_folds, seed=derive_seed(seed, "held-out folds"))
    return tuple(
        HeldOut(
            number=fold + 1,
            development=tuple(row for row in rows if fold_of[row.patient_id] != fold),
            test=tuple(row for row in rows if fold_of[row.patient_id] == fold),
        )
        for fold in range(num_folds)
    )


def known_label(row: CaseRow) -> int:
    """The label of an included case: 1 for a final mTICI of 2c or 3.

    Raises:
        DataError: the case has none.
    """
    label = label_of(TASK, row)
    if label is None:
        raise DataError("an included case has no final mTICI", hint="use the cases that the inclusion flow keeps")
    return label
