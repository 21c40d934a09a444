"""A site's own training: as many rounds as the federation, the best of them by validation."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fpe_core.config.study import PrivacyPlan, StudyPlan
from fpe_core.data.dataset import SplitCases
from fpe_core.models.planned import initial_state, planned_model
from fpe_core.models.state import write_state
from fpe_core.state import FlatState
from fpe_core.training import alone
from fpe_core.training.accountant import epsilon
from fpe_core.training.alone import round_seed, train_alone
from fpe_core.training.hardware import Hardware
from fpe_core.training.local_round import RoundOutcome, train_round
from fpe_core.training.predict import predict

CPU = Hardware(torch.device("cpu"))


def rounds_of(plan: StudyPlan, cases: SplitCases, site: str) -> list[FlatState]:
    """The models after 0, 1, … rounds of one site."""
    states = [initial_state(plan)]
    for number in range(1, plan.federation.rounds + 1):
        seed = round_seed(plan, site, number)
        data = {"train": cases.train, "validation": cases.validation, "plan": plan.training}
        trained = train_round(planned_model(plan), states[-1], **data, seed=seed, hardware=CPU).trained
        states.append(states[-1].plus(trained.minus(states[-1])))
    return states


def run(plan: StudyPlan, cases: SplitCases, site: str = "north") -> FlatState:
    return train_alone(planned_model(plan), initial_state(plan), site=site, cases=cases, plan=plan, hardware=CPU)


def test_the_chosen_model_has_the_lowest_validation_loss(plan: StudyPlan, splits: SplitCases) -> None:
    states = rounds_of(plan, splits, "north")
    model = planned_model(plan)

    def loss(state: FlatState) -> float:
        write_state(model, state)
        return predict(model, splits.validation, plan=plan.training, hardware=CPU).loss

    best = min(states, key=loss)
    assert len({loss(state) for state in states}) == len(states)
    assert run(plan, splits).values.tobytes() == best.values.tobytes()


@pytest.mark.parametrize(("losses", "best"), [((1.0, 2.0, 0.5, 0.5), 2), ((1.0, 1.0, 1.0, 1.0), 0)])
def test_the_earliest_of_equals_is_chosen(
    plan: StudyPlan,
    splits: SplitCases,
    monkeypatch: pytest.MonkeyPatch,
    losses: tuple[float, ...],
    best: int,
) -> None:
    script = iter(losses)
    real = alone.predict

    def judged(model: nn.Module, *args: object, **options: object) -> object:
        result = real(model, splits.validation, plan=plan.training, hardware=CPU)
        return type(result)(result.probabilities, result.labels, next(script))

    monkeypatch.setattr(alone, "predict", judged)
    np.testing.assert_array_equal(run(plan, splits).values, rounds_of(plan, splits, "north")[best].values)


def test_each_site_and_each_round_draws_its_own(plan: StudyPlan) -> None:
    other = plan.model_copy(update={"seed": 4})
    seeds = {round_seed(p, site, n) for p in (plan, other) for site in ("north", "south") for n in (1, 2)}
    assert len(seeds) == 8


def test_private_rounds_share_one_budget(plan: StudyPlan, splits: SplitCases, monkeypatch: pytest.MonkeyPatch) -> None:
    private = plan.model_copy(
        update={
            "model": plan.model.model_copy(update={"norm": "group"}),
            "training": plan.training.model_copy(
                update={"privacy": PrivacyPlan(target_epsilon=4.0), "balance_classes": False}
            ),
        }
    )
    spent: list[float] = []

    def watched(*args: Any, **options: Any) -> RoundOutcome:
        outcome = train_round(*args, **options)
        assert outcome.accountant is not None
        spent.append(epsilon(outcome.accountant, 1e-5))
        return outcome

    monkeypatch.setattr(alone, "train_round", watched)
    run(private, splits)
    assert len(spent) == 3
    assert spent == sorted(set(spent))
    assert 3.8 < spent[-1] <= 4.0
