"""The radiomics baseline on the same held-out folds as the networks."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fpe_core.data.case_row import CaseRow
from fpe_core.seeds import derive_seed
from fpe_sim.ucla_scanet.held_out import FoldPredictions, HeldOut, known_label
from fpe_sim.ucla_scanet.protocol import UclaScanet
from fpe_sim.ucla_scanet.radiomics.classifier import fit_radiomics
from fpe_sim.ucla_scanet.radiomics.store import FeatureTable


@dataclass(frozen=True, eq=False)
class BaselineOutcome:
    """What the radiomics baseline gives.

    Attributes:
        folds: predictions of the held-out cases.
        times_selected: folds in which a feature was selected, by its name, most often first.
    """

    folds: tuple[FoldPredictions, ...]
    times_selected: dict[str, int]


def cross_validate_radiomics(
    protocol: UclaScanet, folds: Sequence[HeldOut], rows: Sequence[CaseRow], table: FeatureTable
) -> BaselineOutcome:
    """Fit the baseline to each fold's development cases and predict those held out.

    Args:
        protocol: settings and seed.
        folds: of `rows`.
        rows: all included cases.
        table: their features, in their order.

    Raises:
        NotEnoughCases: too few patients of a class for the inner folds.
    """
    number_of = {row.case_id: number for number, row in enumerate(rows)}
    outcomes, selected = [], Counter[str]()
    for fold in folds:
        inside, outside = ([number_of[row.case_id] for row in part] for part in (fold.development, fold.test))
        fitted = fit_radiomics(
            table.values[inside],
            np.array([known_label(row) for row in fold.development], dtype=np.int64),
            [row.patient_id for row in fold.development],
            num_features=protocol.radiomics.num_features,
            inverse_penalties=protocol.radiomics.inverse_penalties,
            num_folds=protocol.cross_validation.inner_folds,
            seed=derive_seed(protocol.seed, "radiomics", fold.number),
        )
        labels = np.array([known_label(row) for row in fold.test], dtype=np.int64)
        probabilities = fitted.probabilities(table.values[outside])
        outcomes.append(FoldPredictions(fold.number, probabilities, labels, fitted.threshold))
        selected.update(table.names[number] for number in fitted.selected)
    return BaselineOutcome(tuple(outcomes), dict(selected.most_common()))
