"""Every case is held out once, no patient is on both sides, and the networks' plans say what the protocol says."""

from collections.abc import Callable

import numpy as np
import pytest

from fpe_core.data.case_row import CaseRow
from fpe_core.errors import DataError, NotEnoughCases
from fpe_core.evaluation.thresholds import Threshold
from fpe_sim.ucla_scanet.held_out import FoldPredictions, held_out_folds, known_label, pooled
from fpe_sim.ucla_scanet.networks import network_plan
from fpe_sim.ucla_scanet.protocol import UclaScanet

MakeRows = Callable[[int], list[CaseRow]]


def test_every_case_is_held_out_once_and_its_patient_with_it(make_rows: MakeRows) -> None:
    rows = make_rows(24)
    folds = held_out_folds(rows, num_folds=4, seed=0)
    assert [fold.number for fold in folds] == [1, 2, 3, 4]
    assert sorted(row.case_id for fold in folds for row in fold.test) == sorted(row.case_id for row in rows)
    for fold in folds:
        assert len(fold.test) + len(fold.development) == 24
        assert not {row.patient_id for row in fold.test} & {row.patient_id for row in fold.development}
        assert sum(known_label(row) for row in fold.test) in (2, 3, 4)


def test_folds_follow_from_the_seed_alone(make_rows: MakeRows) -> None:
    rows = make_rows(24)
    one, again, other = (held_out_folds(rows, num_folds=3, seed=seed) for seed in (5, 5, 6))
    assert one == again != other


def test_what_has_no_label_or_too_few_cases_is_refused(make_rows: MakeRows) -> None:
    with pytest.raises(DataError, match="no final mTICI"):
        held_out_folds([make_rows(1)[0].model_copy(update={"final_mtici": None})], num_folds=2, seed=0)
    with pytest.raises(NotEnoughCases, match="at least 5 patients"):
        held_out_folds(make_rows(8), num_folds=5, seed=0)


def test_pooled_cases_keep_their_own_labels() -> None:
    folds = [
        FoldPredictions(number, np.array([0.1, 0.2]) * number, np.array([0, 1]), Threshold(0.5, 0.0))
        for number in (1, 2)
    ]
    together = pooled(folds)
    np.testing.assert_allclose(together.probabilities, [0.1, 0.2, 0.2, 0.4])
    np.testing.assert_array_equal(together.labels, [0, 1, 0, 1])


def test_both_networks_share_the_seed_of_a_fold_and_folds_do_not(protocol: UclaScanet) -> None:
    plans = [network_plan(protocol, network, fold) for network in ("resnet34", "scanet") for fold in (1, 2)]
    assert plans[0].seed == plans[2].seed != plans[1].seed
    assert [plan.model.name for plan in plans] == ["resnet34", "resnet34", "scanet", "scanet"]
    for plan in plans:
        assert (plan.task, plan.recipe, plan.model.base_width) == ("recanalization", "mnt-dl-ct-small", 8)
        assert plan.model.channels == ("ncct", "cta")
        assert plan.training == protocol.small.training
