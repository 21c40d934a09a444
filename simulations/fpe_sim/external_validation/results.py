"""What one direction and outcome came to, from locked predictions at home and away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fpe_core.data.case_row import CaseRow
from fpe_core.data.labels import label_of
from fpe_core.evaluation.cases import FloatArray, fewest_of_a_class
from fpe_core.evaluation.comparison import AucComparison, compare_paired_aucs, compare_unpaired_aucs
from fpe_core.evaluation.folds import MeanSd
from fpe_core.evaluation.scores import FEWEST_FOR_DELONG
from fpe_core.seeds import derive_seed
from fpe_core.training.fold_store import FoldOutcome
from fpe_sim.external_validation.locks import Lock
from fpe_sim.external_validation.pairs import Pair
from fpe_sim.external_validation.participants import Participants
from fpe_sim.external_validation.recalibration import recalibrated_in_the_large
from fpe_sim.external_validation.scores import SetScores, fold_scores, set_scores

FoldSummary = Mapping[str, MeanSd | None]


@dataclass(frozen=True, eq=False)
class PairResult:
    """One locked ensemble at home and away.

    Attributes:
        pair: direction and outcome.
        lock: of the models.
        num_development: cases that they were trained and validated on.
        home: on the home test cohort; None where it has fewer than two cases of a class.
        away: on all cases of the other hospital; None likewise.
        recalibrated: the same cases after one intercept fitted to them; None likewise.
        loss: AUC at home minus AUC away; None where a class has fewer than `FEWEST_FOR_DELONG` cases at one of them.
        validation_folds, home_folds, away_folds: mean (SD) of the single models, each at its own threshold.
    """

    pair: Pair
    lock: Lock
    num_development: int
    home: SetScores | None
    away: SetScores | None
    recalibrated: SetScores | None
    loss: AucComparison | None
    validation_folds: FoldSummary
    home_folds: FoldSummary
    away_folds: FoldSummary


@dataclass(frozen=True, eq=False)
class LocalComparison:
    """The visiting model against the hospital's own, on the test cases of that hospital.

    Attributes:
        visitor: the pair whose `away` is this hospital.
        num_cases: test cases of the hospital.
        own_minus_visitor: difference of the AUCs, own model first.
    """

    visitor: Pair
    num_cases: int
    own_minus_visitor: AucComparison


def ensemble(probabilities: Sequence[ArrayLike]) -> FloatArray:
    """Mean probability `(N,)` of the fold models."""
    mean: FloatArray = np.stack([np.asarray(one, dtype=np.float64) for one in probabilities]).mean(axis=0)
    return mean


def pair_result(
    pair: Pair,
    lock: Lock,
    folds: Sequence[FoldOutcome],
    visitors: Participants,
    away_probabilities: Sequence[FloatArray],
    *,
    seed: int,
) -> PairResult:
    """Judge one locked ensemble.

    Args:
        pair: direction and outcome.
        lock: of the models.
        folds: the models with their predictions at home.
        visitors: the other hospital's cases.
        away_probabilities: `(N,)` of `visitors.rows`, for each fold.
        seed: of resamples and parts.
    """
    thresholds = [fold.threshold for fold in lock.folds]
    labels = labels_of(visitors.rows, pair)

    def scored(name: str, probabilities: ArrayLike, of: ArrayLike) -> SetScores | None:
        return set_scores(probabilities, of, threshold=lock.threshold, seed=derive_seed(seed, pair.name, name))

    home = scored("home", ensemble([fold.test.probabilities for fold in folds]), folds[0].test.labels)
    away = scored("away", ensemble(away_probabilities), labels)
    return PairResult(
        pair=pair,
        lock=lock,
        num_development=sum(len(fold.validation.labels) for fold in folds),
        home=home,
        away=away,
        recalibrated=away and scored("recalibrated", recalibrated_in_the_large(away.probabilities, labels), labels),
        loss=_loss(home, away),
        validation_folds=fold_scores(
            [(fold.validation.probabilities, fold.validation.labels) for fold in folds], thresholds
        ),
        home_folds=fold_scores([(fold.test.probabilities, fold.test.labels) for fold in folds], thresholds),
        away_folds=fold_scores([(one, labels) for one in away_probabilities], thresholds),
    )


def labels_of(rows: Sequence[CaseRow], pair: Pair) -> FloatArray:
    """`(N,)` labels of included cases."""
    return np.array([label_of(pair.label, row) or 0 for row in rows], dtype=np.float64)


def local_comparison(
    own: Sequence[FoldOutcome], hospital: Participants, visitor: Pair, visitor_probabilities: Sequence[FloatArray]
) -> LocalComparison | None:
    """Compare the visiting ensemble with the hospital's own; None where its test cohort lacks cases of a class.

    Args:
        own: the hospital's own models, with their predictions on its test cohort.
        hospital: its cases.
        visitor: the pair whose models visit it.
        visitor_probabilities: `(N,)` of `hospital.rows`, for each fold of the visitor.
    """
    tested = {row.case_id for row in hospital.test}
    at = [number for number, row in enumerate(hospital.rows) if row.case_id in tested]
    labels = labels_of(hospital.test, visitor)
    if fewest_of_a_class(labels) < FEWEST_FOR_DELONG:
        return None
    difference = compare_paired_aucs(
        first=ensemble([fold.test.probabilities for fold in own]),
        second=ensemble(visitor_probabilities)[at],
        labels=labels,
    )
    return LocalComparison(visitor, len(labels), difference)


def _loss(home: SetScores | None, away: SetScores | None) -> AucComparison | None:
    if home is None or away is None:
        return None
    if min(fewest_of_a_class(home.labels), fewest_of_a_class(away.labels)) < FEWEST_FOR_DELONG:
        return None
    if home.auc.has_no_width or away.auc.has_no_width:
        return None
    return compare_unpaired_aucs(
        first=home.probabilities, first_labels=home.labels, second=away.probabilities, second_labels=away.labels
    )
