from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.ensemble import (
    FoldEnsemble,
    VoteWeight,
    fit_fold_ensemble,
    fold_probabilities,
    vote_over_folds,
)
from fpe_core.evaluation.thresholds import Threshold, choose_threshold


def ensemble(**weights: tuple[float, float]) -> FoldEnsemble:
    return FoldEnsemble({name: VoteWeight(*rates) for name, rates in weights.items()}, Threshold(0.5, 0.0))


def test_weighted_vote_by_hand() -> None:
    voted = fold_probabilities(ensemble(ncct=(0.9, 0.2), cta=(0.5, 0.8)), {"cta": [0.3], "ncct": [0.6]})
    given_for, given_against = 0.9 * 0.6 + 0.5 * 0.3, 0.2 * 0.4 + 0.8 * 0.7
    assert voted == pytest.approx([given_for / (given_for + given_against)])


def test_equal_rates_give_the_plain_mean() -> None:
    p = np.random.default_rng(1).random((3, 20))
    voted = fold_probabilities(ensemble(a=(0.7, 0.7), b=(0.7, 0.7), c=(0.7, 0.7)), dict(zip("abc", p, strict=True)))
    np.testing.assert_allclose(voted, p.mean(axis=0))


def test_one_model_keeps_its_ranks() -> None:
    p = np.random.default_rng(2).random(50)
    voted = fold_probabilities(ensemble(cta=(0.9, 0.3)), {"cta": p})
    assert (np.argsort(voted) == np.argsort(p)).all()
    assert ((voted >= 0) & (voted <= 1)).all()


def test_a_model_that_sees_the_outcome_everywhere_counts_when_it_says_no() -> None:
    alarmist = ensemble(a=(1.0, 0.0), b=(0.5, 0.9))
    sure_yes, sure_no = fold_probabilities(alarmist, {"a": [1.0, 0.0], "b": [0.4, 0.4]})
    assert sure_yes > sure_no


def test_no_vote_at_all_is_a_half() -> None:
    assert fold_probabilities(ensemble(a=(1.0, 0.0)), {"a": [0.0, 0.5]}).tolist() == [0.5, 1.0]


def test_order_of_models_changes_nothing() -> None:
    p = {"ncct": [0.2, 0.9], "cta": [0.4, 0.3], "both": [0.7, 0.7]}
    one = ensemble(ncct=(0.9, 0.2), cta=(0.5, 0.8), both=(0.6, 0.7))
    other = FoldEnsemble(dict(reversed(one.weights.items())), one.threshold)
    np.testing.assert_allclose(fold_probabilities(one, p), fold_probabilities(other, p))


def test_weights_are_validation_rates_at_the_models_own_threshold() -> None:
    labels = [1, 1, 1, 0, 0]
    fitted = fit_fold_ensemble(
        validation_probabilities={"ncct": [0.9, 0.8, 0.1, 0.2, 0.3], "cta": [0.6, 0.6, 0.6, 0.6, 0.1]},
        validation_labels=labels,
    )
    assert fitted.weights == {"ncct": VoteWeight(2 / 3, 1.0), "cta": VoteWeight(1.0, 0.5)}
    voted = fold_probabilities(fitted, {"ncct": [0.9, 0.8, 0.1, 0.2, 0.3], "cta": [0.6, 0.6, 0.6, 0.6, 0.1]})
    assert fitted.threshold == choose_threshold(validation_probabilities=voted, validation_labels=labels)


def test_three_noisy_models_are_better_together(drawn_cases: Callable) -> None:
    _, labels = drawn_cases(3, 600)
    draw = np.random.default_rng(4)
    models = {name: 1 / (1 + np.exp(-(draw.standard_normal(600) + labels - 0.5))) for name in ("ncct", "cta", "both")}
    validation, test = np.arange(600) < 300, np.arange(600) >= 300
    fitted = fit_fold_ensemble(
        validation_probabilities={name: p[validation] for name, p in models.items()},
        validation_labels=labels[validation],
    )
    voted = fold_probabilities(fitted, {name: p[test] for name, p in models.items()})
    assert roc_auc_score(labels[test], voted) > max(roc_auc_score(labels[test], p[test]) for p in models.values())


def test_majority_needs_more_than_half_of_the_folds() -> None:
    folds = [[0.9, 0.9, 0.1, 0.4], [0.9, 0.9, 0.1, 0.1], [0.9, 0.1, 0.9, 0.1], [0.9, 0.1, 0.1, 0.1]]
    thresholds = [Threshold(value, 0.0) for value in (0.4, 0.5, 0.5, 0.5)]
    vote = vote_over_folds(folds, thresholds=thresholds)
    assert vote.positive.tolist() == [True, False, False, False]
    assert vote.vote_share.tolist() == [1.0, 0.5, 0.25, 0.25]
    np.testing.assert_allclose(vote.mean_probability, np.mean(folds, axis=0))
    assert vote_over_folds(folds[:3], thresholds=thresholds[:3]).positive.tolist() == [True, True, False, False]


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"of the models \['cta'\], got \['ncct'\]"):
        fold_probabilities(ensemble(cta=(0.5, 0.5)), {"ncct": [0.5]})
    with pytest.raises(ValueError, match="of the same cases"):
        fold_probabilities(ensemble(a=(0.5, 0.5), b=(0.5, 0.5)), {"a": [0.5], "b": [0.5, 0.6]})
    with pytest.raises(ValueError, match="between 0 and 1"):
        fold_probabilities(ensemble(a=(0.5, 0.5)), {"a": [1.5]})
    with pytest.raises(ValueError, match="got 1 for 2"):
        vote_over_folds([[0.5], [0.5]], thresholds=[Threshold(0.5, 0.0)])
    with pytest.raises(ValueError, match="models"):
        fit_fold_ensemble(validation_probabilities={}, validation_labels=[0, 1])
    with pytest.raises(NotEnoughCases, match="both classes"):
        fit_fold_ensemble(validation_probabilities={"a": [0.5]}, validation_labels=[1])
