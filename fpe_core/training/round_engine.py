"""What turns a round's cases into optimiser steps: batches and stepper, plain or private."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from fpe_core.config.study import TrainingPlan
from fpe_core.data.dataset import CaseDataset, Sample
from fpe_core.errors import TrainingError
from fpe_core.training.hardware import Hardware
from fpe_core.training.loader import training_batches
from fpe_core.training.losses import outcome_loss
from fpe_core.training.optimise import make_optimiser, make_schedule
from fpe_core.training.predict import network_output
from fpe_core.training.step import Objective, Stepper

if TYPE_CHECKING:
    from fpe_core.training.private import PrivateRound, PrivateStepper


@dataclass(frozen=True)
class PrivateStudy:
    """What a private round needs to know of the rounds around it.

    Attributes:
        num_rounds: rounds on these cases in the whole study, over which a target ε is spread.
        accountant_state: `RoundOutcome.accountant` of the round before; None before the first.
        noise_seed: see `private_round_parts`.
    """

    num_rounds: int
    accountant_state: Mapping[str, object] | None = None
    noise_seed: int | None = None


@dataclass(frozen=True)
class PlainEngine:
    """Ordinary steps.

    Attributes:
        batches: one epoch's batches each time it is iterated.
        stepper: does the steps.
        schedule: of the learning rate, fed with each epoch's validation loss; None for a constant rate.
        shuffle: where the order of the cases and the flips come from.
    """

    batches: Iterable[Sample]
    stepper: Stepper
    schedule: ReduceLROnPlateau | None
    shuffle: torch.Generator

    @property
    def hardware(self) -> Hardware:
        """What the round goes on with, after what it has learned of the memory."""
        return self.stepper.hardware

    def spent(self) -> dict[str, object] | None:
        """Nothing."""
        return None


@dataclass(frozen=True)
class PrivateEngine:
    """DP-SGD's steps; the attributes are those of `PlainEngine`."""

    private: "PrivateRound"
    hardware: Hardware
    schedule: ReduceLROnPlateau | None
    shuffle: torch.Generator

    @property
    def stepper(self) -> "PrivateStepper":
        """Does the steps."""
        return self.private.stepper

    @property
    def batches(self) -> Iterable[Sample]:
        """One epoch's Poisson batches each time it is iterated."""
        return self.private.loader

    def spent(self) -> dict[str, object] | None:
        """The accountant's state after the steps so far."""
        return dict(self.private.accountant.state())


def plain_engine(
    model: nn.Module, train: CaseDataset, plan: TrainingPlan, *, seed: int, hardware: Hardware
) -> PlainEngine:
    """A fresh optimiser and schedule, and batches in an order that follows from `seed`."""
    optimiser = make_optimiser(model, plan, hardware.device)
    shuffle = torch.Generator().manual_seed(seed)
    return PlainEngine(
        training_batches(
            train, batch_size=plan.batch_size, balanced=plan.balanced_sampling, hardware=hardware, shuffle=shuffle
        ),
        Stepper(
            model,
            optimiser,
            outcome_objective(model, train, plan, hardware.device),
            hardware=hardware,
            precision=plan.precision,
        ),
        make_schedule(optimiser, plan),
        shuffle,
    )


def private_engine(
    model: nn.Module,
    train: CaseDataset,
    plan: TrainingPlan,
    *,
    seed: int,
    hardware: Hardware,
    study: PrivateStudy | None,
) -> PrivateEngine:
    """A fresh private optimiser; flips come from torch's global generator, which is then seeded in secret.

    Raises:
        TrainingError: `study` is None.
    """
    # Opacus takes seconds to import, and few studies need it.
    from fpe_core.training.private import private_round_parts

    if study is None:
        raise TrainingError("a private round should be told what the study has spent, but was not")
    optimiser = make_optimiser(model, plan, hardware.device)
    private = private_round_parts(
        model,
        optimiser,
        train,
        plan,
        num_rounds=study.num_rounds,
        seed=seed,
        noise_seed=study.noise_seed,
        hardware=hardware,
        objective=outcome_objective(model, train, plan, hardware.device),
        accountant_state=study.accountant_state,
    )
    return PrivateEngine(private, hardware, make_schedule(optimiser, plan), torch.default_generator)


def outcome_objective(model: nn.Module, train: CaseDataset, plan: TrainingPlan, device: torch.device) -> Objective:
    """The supervised loss of `model`, its positive cases weighted as the plan says."""
    ratio = torch.tensor(train.num_negative / train.num_positive, device=device) if plan.balance_classes else None

    def objective(batch: Sample) -> Tensor:
        output = network_output(model, batch)
        return outcome_loss(output, batch.label, subnet_weight=plan.subnet_loss_weight, pos_weight=ratio)

    return objective
