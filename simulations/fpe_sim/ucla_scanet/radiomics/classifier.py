"""Selection of features and a logistic regression, fitted to one fold's development cases and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit, cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from fpe_core.data.folds import patient_folds
from fpe_core.evaluation.thresholds import Threshold, choose_threshold

Features = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FittedRadiomics:
    """What development cases decide.

    Attributes:
        pipeline: scaling, selection and regression.
        threshold: chosen on the development cases' own out-of-fold probabilities.
        selected: numbers of the features that were selected.
    """

    pipeline: Pipeline
    threshold: Threshold
    selected: tuple[int, ...]

    def probabilities(self, features: Features) -> NDArray[np.float64]:
        """Of N new cases: features `(N, F)` to `(N,)` float64 in [0, 1]."""
        found: NDArray[np.float64] = self.pipeline.predict_proba(features)[:, 1]
        return found


def fit_radiomics(
    features: Features,
    labels: Labels,
    patients: Sequence[str],
    *,
    num_features: Sequence[int],
    inverse_penalties: Sequence[float],
    num_folds: int,
    seed: int,
) -> FittedRadiomics:
    """Choose how many features and how strong a penalty by cross-validated AUC among the development cases.

    Scaling and selection are steps of the pipeline, so that inner validation cases take no part in them either.

    Args:
        features: `(N, F)` float64 of the development cases.
        labels: `(N,)` 0 or 1.
        patients: of each case; a patient's cases are in one inner fold.
        num_features: candidates for the number of features that the F-test ranks first; more than F count as F.
        inverse_penalties: candidates for C of the ridge penalty.
        num_folds: of the inner cross-validation.
        seed: of the inner folds.

    Raises:
        NotEnoughCases: a class has fewer patients than there are inner folds.
    """
    inner = _inner_folds(labels, patients, num_folds, seed)
    candidates = {
        "select__k": sorted({min(k, features.shape[1]) for k in num_features}),
        "regression__C": list(inverse_penalties),
    }
    search = GridSearchCV(_pipeline(), candidates, scoring="roc_auc", cv=inner).fit(features, labels)
    inside = cross_val_predict(search.best_estimator_, features, labels, cv=inner, method="predict_proba")[:, 1]
    return FittedRadiomics(
        pipeline=search.best_estimator_,
        threshold=choose_threshold(validation_probabilities=inside, validation_labels=labels),
        selected=_selected(search.best_estimator_),
    )


def _pipeline() -> Pipeline:
    return Pipeline(
        [
            ("varying", VarianceThreshold()),
            ("scale", StandardScaler()),
            ("select", SelectKBest(f_classif)),
            ("regression", LogisticRegression(class_weight="balanced", max_iter=2000)),
        ]
    )


def _inner_folds(labels: Labels, patients: Sequence[str], num_folds: int, seed: int) -> Any:
    of_patient: dict[str, int] = {}
    for patient, label in zip(patients, labels.tolist(), strict=True):
        of_patient[patient] = max(label, of_patient.get(patient, 0))
    fold_of = patient_folds(of_patient, num_folds=num_folds, seed=seed)
    return PredefinedSplit([fold_of[patient] for patient in patients])


def _selected(pipeline: Pipeline) -> tuple[int, ...]:
    varying = np.flatnonzero(pipeline["varying"].get_support())
    return tuple(int(number) for number in varying[pipeline["select"].get_support()])
