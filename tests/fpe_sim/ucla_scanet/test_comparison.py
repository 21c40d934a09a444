"""Paired comparisons against numbers worked out by hand."""

from collections.abc import Callable

import pytest

from fpe_core.evaluation.comparison import compare_paired_aucs
from fpe_sim.ucla_scanet.comparison import compare_models
from fpe_sim.ucla_scanet.held_out import pooled
from fpe_sim.ucla_scanet.outcome import ScanetOutcome
from fpe_sim.ucla_scanet.paper import RADIOMICS, RESNET34, SCANET


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
