"""The baseline learns what is there, and nothing from the cases that it is judged on."""

import numpy as np
from numpy.typing import NDArray

from fpe_core.evaluation.metrics import roc_auc
from fpe_sim.ucla_scanet.radiomics.classifier import FittedRadiomics, fit_radiomics

Features, Labels = NDArray[np.float64], NDArray[np.int64]
LABELS: Labels = np.arange(40, dtype=np.int64) % 2
PATIENTS = [f"p{number}" for number in range(40)]


def fitted(features: Features, *, seed: int = 0) -> FittedRadiomics:
    return fit_radiomics(
        features, LABELS, PATIENTS, num_features=(2, 4), inverse_penalties=(0.1, 1.0), num_folds=4, seed=seed
    )


def noise(seed: int, num_features: int = 30) -> Features:
    return np.random.default_rng(seed).normal(size=(40, num_features))


def test_it_finds_the_feature_that_matters_on_any_scale() -> None:
    features, others = noise(0), noise(1)
    for part in (features, others):
        part[:, 7] = 1e4 + 100 * (part[:, 7] + 2.5 * LABELS)
    model = fitted(features)
    assert 7 in model.selected
    assert roc_auc(model.probabilities(others), LABELS) > 0.9
    assert 0 < model.threshold.value < 1
    assert model.threshold.validation_youden > 0.5


def test_noise_stays_noise_on_other_cases() -> None:
    """Selected among all cases, the best of 1000 features would tell the classes apart."""
    aucs = [roc_auc(fitted(noise(seed, 1000)).probabilities(noise(seed + 50, 1000)), LABELS) for seed in range(5)]
    assert 0.35 < np.mean(aucs) < 0.65
    assert fitted(noise(0, 1000)).threshold.validation_youden < 0.75


def test_a_feature_that_never_changes_is_left_out() -> None:
    features = noise(0)
    features[:, 3] = 0.5
    features[:, 7] += 2.5 * LABELS
    model = fitted(features)
    assert 3 not in model.selected
    assert 7 in model.selected


def test_the_same_seed_gives_the_same_model() -> None:
    one, other = (fitted(noise(3)) for _ in range(2))
    assert one.threshold == other.threshold
    np.testing.assert_array_equal(one.probabilities(noise(4)), other.probabilities(noise(4)))


def test_fewer_features_than_asked_for_are_all_taken() -> None:
    features = noise(0, 3)
    features[:, 0] += 2 * LABELS
    assert set(fitted(features).selected) <= {0, 1, 2}
