"""Paired comparisons against numbers worked out by hand."""

from collections.abc import Callable

import pytest

from fpe_core.evaluation.comparison import compare_paired_aucs
from fpe_sim.ucla_scanet.comparison import compare_models, paired_t
from fpe_sim.ucla_scanet.held_out import pooled
from fpe_sim.ucla_scanet.outcome import ScanetOutcome
from fpe_sim.ucla_scanet.paper import RADIOMICS, RESNET34, SCANET


def test_paired_t_by_hand() -> None:
    """Differences 1, 2, 3: mean 2, standard error 1/√3, t(2) at 97.5 % is 4.302653."""
    found = paired_t([1.0, 2.0, 3.0])
    reach = 4.302652729911275 / 3**0.5
    assert (found.mean, found.low, found.high) == pytest.approx((2, 2 - reach, 2 + reach))
    # p of |t| = 2 √3 with 2 degrees of freedom: 1 - t / √(2 + t²).
    assert found.p_value == pytest.approx(1 - 12**0.5 / 14**0.5)


def test_the_same_difference_in_every_fold_has_no_p_value() -> None:
    assert paired_t([0.25, 0.25, 0.25]).p_value is None
    assert paired_t([0.0, 0.0]).low == paired_t([0.0, 0.0]).high == 0


def test_the_first_models_advantage_is_positive(make_outcome: Callable[..., ScanetOutcome]) -> None:
    outcome = make_outcome((0.1, 0.0, 0.6))
    found = compare_models(SCANET, RESNET34, outcome.predictions)
    assert found.over_folds.mean == pytest.approx(outcome.auc(SCANET).mean - outcome.auc(RESNET34).mean)
    assert found.over_folds.mean > 0
    ours, theirs = (pooled(outcome.predictions[model]) for model in (SCANET, RESNET34))
    assert found.pooled == compare_paired_aucs(
        first=ours.probabilities, second=theirs.probabilities, labels=ours.labels
    )
    assert [(one.first, one.second) for one in outcome.comparisons()] == [(SCANET, RESNET34), (SCANET, RADIOMICS)]
