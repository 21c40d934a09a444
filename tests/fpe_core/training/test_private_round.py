"""A private round: what it tells and what it keeps, and a budget that is carried from round to round."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fpe_core.config.study import PrivacyPlan, StudyPlan
from fpe_core.data.dataset import SplitCases
from fpe_core.errors import ModelError, PrivacyBudgetSpent, TrainingError
from fpe_core.models.planned import initial_state, planned_model
from fpe_core.training.accountant import epsilon
from fpe_core.training.hardware import Hardware
from fpe_core.training.local_round import PrivateStudy, RoundOutcome, train_round

CPU = Hardware(torch.device("cpu"))
Train = Callable[..., RoundOutcome]


@pytest.fixture
def private_plan(plan: StudyPlan) -> StudyPlan:
    return plan.model_copy(
        update={
            "model": plan.model.model_copy(update={"norm": "group"}),
            "training": plan.training.model_copy(
                update={
                    "privacy": PrivacyPlan(noise_multiplier=0.8),
                    "balance_classes": False,
                    "local_epochs": 1,
                    "learning_rate": 1e-3,
                }
            ),
        }
    )


@pytest.fixture
def train(private_plan: StudyPlan, splits: SplitCases) -> Train:
    def run(study: PrivateStudy | None, *, seed: int = 1, checkpoint: Path | None = None, **changes: Any) -> Any:
        steps: list[tuple[int, int]] = changes.pop("steps", [])
        return train_round(
            planned_model(private_plan),
            initial_state(private_plan),
            train=splits.train,
            validation=splits.validation,
            plan=private_plan.training.model_copy(update=changes),
            seed=seed,
            hardware=CPU,
            progress=lambda _stage, done, total: steps.append((done, total)),
            checkpoint=checkpoint,
            private=study,
        )

    return run


def test_each_round_adds_to_what_the_study_has_spent(train: Train) -> None:
    first = train(PrivateStudy(num_rounds=2))
    second = train(PrivateStudy(num_rounds=2, accountant_state=json.loads(json.dumps(first.accountant))), seed=2)
    assert first.accountant is not None
    assert second.accountant is not None
    # Two steps of 6 of 12 cases each round.
    assert first.accountant["history"] == [[0.8, 0.5, 2]]
    assert second.accountant["history"] == [[0.8, 0.5, 4]]
    assert 0 < epsilon(first.accountant, 1e-5) < epsilon(second.accountant, 1e-5)


def test_training_losses_stay_at_the_site(train: Train) -> None:
    steps: list[tuple[int, int]] = []
    outcome = train(PrivateStudy(num_rounds=1, noise_seed=3), local_epochs=3, steps=steps)
    assert outcome.summary.epoch_losses == ()
    assert outcome.summary.num_epochs == 3
    assert outcome.summary.num_cases == 12
    assert all(done <= total == 36 for done, total in steps)
    assert 0 < outcome.waiting_share < 1


def test_a_noise_seed_repeats_a_simulation_and_nothing_repeats_a_site(train: Train) -> None:
    simulated = [train(PrivateStudy(num_rounds=1, noise_seed=3)).trained.values for _ in range(2)]
    np.testing.assert_array_equal(*simulated)
    real = [train(PrivateStudy(num_rounds=1)).trained.values for _ in range(2)]
    assert not np.array_equal(*real)


def test_a_private_round_leaves_no_checkpoint(train: Train, tmp_path: Path) -> None:
    train(PrivateStudy(num_rounds=1), checkpoint=tmp_path / "round.safetensors")
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_spent_budget_ends_training(train: Train) -> None:
    privacy = PrivacyPlan(target_epsilon=3.0)
    first = train(PrivateStudy(num_rounds=1), privacy=privacy)
    assert first.accountant is not None
    assert 2.5 < epsilon(first.accountant, privacy.delta) <= 3.0
    with pytest.raises(PrivacyBudgetSpent):
        train(PrivateStudy(num_rounds=1, accountant_state=first.accountant), privacy=privacy)


def test_a_round_that_is_not_told_what_was_spent_is_refused(train: Train) -> None:
    with pytest.raises(TrainingError, match="told what the study has spent"):
        train(None)


def test_batch_normalisation_is_refused(plan: StudyPlan, private_plan: StudyPlan, splits: SplitCases) -> None:
    with pytest.raises(ModelError, match="BatchNorm"):
        train_round(
            planned_model(plan),
            initial_state(plan),
            train=splits.train,
            validation=splits.validation,
            plan=private_plan.training,
            seed=1,
            hardware=CPU,
            private=PrivateStudy(num_rounds=1),
        )


def test_an_ordinary_round_spends_nothing(plan: StudyPlan, splits: SplitCases) -> None:
    cases = {"train": splits.train, "validation": splits.validation}
    outcome = train_round(planned_model(plan), initial_state(plan), **cases, plan=plan.training, seed=1, hardware=CPU)
    assert outcome.accountant is None
