from collections.abc import Callable

import numpy as np
import pytest

from fpe_core.evaluation.delong import delong_interval
from fpe_core.training.fold_store import FoldOutcome
from fpe_sim.ucla_fpe.measured import difference, measure, reached

MakeFold = Callable[..., FoldOutcome]


def test_validation_is_at_its_own_threshold_and_the_test_cohort_at_that_of_validation(make_fold: MakeFold) -> None:
    folds = [
        make_fold(1, [0.9, 0.8, 0.2, 0.1], [0.9, 0.4, 0.6, 0.1]),
        make_fold(2, [0.9, 0.2, 0.8, 0.1], [0.9, 0.9, 0.8, 0.7]),
    ]
    one = measure(folds)
    assert one.validation_aucs == (1.0, 0.75)
    assert one.validation["auc"] is not None
    assert one.validation["auc"].mean == 0.875
    assert one.validation["accuracy"] is not None
    assert one.validation["accuracy"].mean == np.mean([1.0, 0.75])
    assert one.test["auc"] is not None
    assert one.test["auc"].mean == np.mean([0.75, 1.0])
    # Thresholds 0.5 and 0.85: the first calls 0.9 and 0.6 positive, the second both positives alone.
    assert one.test["sensitivity"] is not None
    assert one.test["specificity"] is not None
    assert (one.test["sensitivity"].mean, one.test["specificity"].mean) == (0.75, 0.75)
    assert one.mean_epochs == 4


def test_out_of_fold_cases_are_pooled_and_test_probabilities_averaged(make_fold: MakeFold) -> None:
    folds = [
        make_fold(1, [0.9, 0.8, 0.2, 0.1], [0.9, 0.1, 0.6, 0.2]),
        make_fold(2, [0.3, 0.2, 0.1, 0.05], [0.9, 0.9, 0.2, 0.2]),
    ]
    one = measure(folds)
    assert one.out_of_fold == delong_interval([0.9, 0.8, 0.2, 0.1, 0.3, 0.2, 0.1, 0.05], [1, 1, 0, 0, 1, 1, 0, 0])
    assert one.pooled_test == delong_interval([0.9, 0.5, 0.4, 0.2], [1, 1, 0, 0])


def test_a_difference_is_first_less_second(make_fold: MakeFold) -> None:
    good = [make_fold(n, [0.9, 0.8, 0.2, 0.1], [0.9, 0.8, 0.3, 0.1]) for n in (1, 2)]
    poor = [make_fold(n, [0.9, 0.1, 0.8, 0.2], [0.1, 0.8, 0.3, 0.2]) for n in (1, 2)]
    found = difference(good, poor)
    assert found.over_folds.mean == 0.5
    assert found.out_of_fold.difference == pytest.approx(0.5)
    assert found.test.difference == pytest.approx(0.5)
    assert difference(poor, good).over_folds.mean == -0.5


@pytest.mark.parametrize(("auc", "share"), [(0.5, 0.0), (0.89, 1.0), (0.695, 0.5), (0.4, -0.1 / 0.39)])
def test_what_was_reached_counts_from_guessing_to_the_reachable(auc: float, share: float) -> None:
    assert reached(auc, 0.89) == pytest.approx(share)
