"""Folds, their ensembles and differences, on hand-made predictions."""

import numpy as np
import pytest

from fpe_sim.vdh_rlvo.gain import daft_gain
from fpe_sim.vdh_rlvo.judged import (
    Folds,
    JudgedFold,
    ensemble,
    judged_probabilities,
    majority_vote,
    mean_auc,
    paired_difference,
    pooled,
    summary,
)
from fpe_sim.vdh_rlvo.networks import Variant

VALIDATION = np.array([1, 1, 0, 0, 0])
TEST = np.array([1, 0, 1, 0])


def a_fold(validation: list[float], test: list[float]) -> JudgedFold:
    return judged_probabilities(
        validation=np.array(validation), validation_labels=VALIDATION, test=np.array(test), test_labels=TEST
    )


GOOD: Folds = (a_fold([0.9, 0.8, 0.2, 0.1, 0.3], [0.9, 0.1, 0.8, 0.2]),) * 2
POOR: Folds = (a_fold([0.1, 0.6, 0.7, 0.4, 0.2], [0.4, 0.6, 0.3, 0.2]),) * 2


def test_a_folds_threshold_comes_from_its_validation_cases() -> None:
    assert GOOD[0].threshold.value == pytest.approx(0.55)
    assert GOOD[0].threshold.validation_youden == 1


def test_scores_are_means_over_folds() -> None:
    assert mean_auc(GOOD, "test") == 1
    assert mean_auc(POOR, "validation") == pytest.approx(2 / 6)
    auc = summary((GOOD[0], POOR[0]), "test")["auc"]
    assert auc is not None
    assert auc.mean == pytest.approx((1 + 0.5) / 2)
    assert auc.sd == pytest.approx(0.5 / 2**0.5)


def test_the_ensemble_of_a_model_and_a_useless_one_still_ranks_rightly() -> None:
    useless: Folds = (a_fold([0.5] * 5, [0.5] * 4),) * 2
    voted = ensemble({"ncct": useless, "cta": GOOD})
    assert len(voted) == 2
    assert mean_auc(voted, "test") == 1
    assert ((voted[0].test > 0) & (voted[0].test < 1)).all()


def test_a_single_member_keeps_its_ranking_where_its_threshold_calls_all_positive() -> None:
    """Its vote would be 1 for every case."""
    upside_down: Folds = (a_fold([0.1, 0.2, 0.3, 0.4, 0.5], [0.9, 0.1, 0.8, 0.2]),)
    assert (upside_down[0].validation >= upside_down[0].threshold.value).all()
    assert ensemble({"both": upside_down}) == upside_down
    assert mean_auc(ensemble({"both": upside_down}), "test") == 1


def test_an_ensemble_of_different_cases_is_refused() -> None:
    other = judged_probabilities(
        validation=np.array([0.1, 0.9, 0.2, 0.3, 0.4]), validation_labels=1 - VALIDATION, test=np.full(4, 0.5),
        test_labels=TEST,
    )  # fmt: skip
    with pytest.raises(ValueError, match="same validation cases"):
        ensemble({"ncct": GOOD, "cta": (other, other)})


def test_pooled_predictions_stand_in_the_order_of_the_folds() -> None:
    probabilities, labels = pooled((GOOD[0], POOR[0]), "validation")
    assert probabilities.tolist() == [0.9, 0.8, 0.2, 0.1, 0.3, 0.1, 0.6, 0.7, 0.4, 0.2]
    assert labels.tolist() == [1, 1, 0, 0, 0] * 2
    means, labels = pooled((GOOD[0], POOR[0]), "test")
    assert means == pytest.approx([0.65, 0.35, 0.55, 0.2])
    assert labels.tolist() == TEST.tolist()


def test_a_tie_of_two_folds_is_negative() -> None:
    vote = majority_vote((GOOD[0], POOR[0]))
    assert vote.vote_share.tolist() == [0.5, 0.5, 0.5, 0.0]
    assert not vote.positive.any()
    assert majority_vote(GOOD).positive.tolist() == [True, False, True, False]


def test_a_paired_difference_is_first_minus_second() -> None:
    found = paired_difference(GOOD, POOR, "validation")
    assert found.difference == pytest.approx(1 - 2 / 6)


def test_a_gain_has_both_parts() -> None:
    gain = daft_gain(Variant("densenet169", "daft"), GOOD, POOR)
    assert gain.by_fold["test"].mean == pytest.approx(0.5)
    assert gain.by_fold["validation"].mean == pytest.approx(2 / 3)
    # Two test cases of each class: the difference is told, and that it could be anything.
    test = gain.pooled["test"]
    assert (test.difference, test.low, test.high) == (0.5, -1, 1)
