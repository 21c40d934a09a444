"""One local round: (model, data, plan, seed) in, update out."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from fpe_core.config.study import TrainingPlan
from fpe_core.data.dataset import CaseDataset
from fpe_core.errors import NotEnoughCases, TrainingDiverged
from fpe_core.models.state import read_state, write_state
from fpe_core.protocol import TrainingSummary
from fpe_core.state import FlatState
from fpe_core.training.device import autocast, make_deterministic
from fpe_core.training.losses import outcome_loss
from fpe_core.training.predict import Progress, no_progress, predict


@dataclass(frozen=True, eq=False)
class RoundOutcome:
    """What a local round gives.

    Attributes:
        trained: the weights after the round.
        summary: counted results.
    """

    trained: FlatState
    summary: TrainingSummary


def train_round(
    model: nn.Module,
    received: FlatState,
    *,
    train: CaseDataset,
    validation: CaseDataset,
    plan: TrainingPlan,
    seed: int,
    device: torch.device,
    progress: Progress = no_progress,
) -> RoundOutcome:
    """Train from `received` for at most `plan.local_epochs` epochs with AdamW.

    With more than one epoch, the weights of the epoch with the lowest validation loss are returned, and the round stops
    early after `plan.patience_epochs` epochs without a better one. Each round starts a fresh optimiser: momentum of
    weights that the average has since moved would point nowhere.

    Args:
        model: on `device`; its weights are overwritten.
        received: the global model.
        train: cases to learn from.
        validation: cases for early stopping, never learned from.
        plan: the study's training section.
        seed: all randomness of the round.
        device: where `model` is.
        progress: called after each optimiser step.

    Raises:
        NotEnoughCases: no training case, or none of one class.
        TrainingDiverged: the loss is not finite.
    """
    if min(train.num_positive, train.num_negative) < 1:
        raise NotEnoughCases("training needs at least one case of each class")
    started = time.monotonic()
    make_deterministic(seed, deterministic=plan.deterministic)
    write_state(model, received)
    optimiser = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    shuffle = torch.Generator().manual_seed(seed)
    losses: list[float] = []
    best_loss, best, best_epoch = float("inf"), received, 0
    for epoch in range(plan.local_epochs):
        losses.append(_train_epoch(model, train, optimiser, plan, shuffle, device, progress, epoch))
        if plan.local_epochs == 1:
            best = read_state(model)
            break
        loss = predict(model, validation, plan=plan, device=device).loss
        if loss < best_loss:
            best_loss, best, best_epoch = loss, read_state(model), epoch
        elif epoch - best_epoch >= plan.patience_epochs:
            break
    summary = TrainingSummary(
        num_cases=len(train),
        num_epochs=len(losses),
        epoch_losses=tuple(losses),
        training_s=time.monotonic() - started,
    )
    return RoundOutcome(best, summary)


def _train_epoch(
    model: nn.Module,
    train: CaseDataset,
    optimiser: torch.optim.Optimizer,
    plan: TrainingPlan,
    shuffle: torch.Generator,
    device: torch.device,
    progress: Progress,
    epoch: int,
) -> float:
    """One pass over the cases; returns the mean loss per case."""
    model.train()
    pos_weight = torch.tensor(train.num_negative / train.num_positive, device=device) if plan.balance_classes else None
    total, seen = 0.0, 0
    for images, labels, _ in DataLoader(train, batch_size=plan.batch_size, shuffle=True, generator=shuffle):
        batch = _mirrored(images, shuffle) if plan.flip_left_right else images
        optimiser.zero_grad(set_to_none=True)
        with autocast(device, plan.precision):
            output = model(batch.to(device))
        loss = outcome_loss(output, labels.to(device), subnet_weight=plan.subnet_loss_weight, pos_weight=pos_weight)
        if not torch.isfinite(loss):
            raise TrainingDiverged(f"the loss should be finite, got {loss.item()} in epoch {epoch + 1}")
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total, seen = total + loss.item() * len(labels), seen + len(labels)
        progress("train", epoch * len(train) + seen, plan.local_epochs * len(train))
    return total / seen


def _mirrored(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror left and right (the last axis) of each case `(B, C, Z, H, W)` with probability one half."""
    flips = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(flips.view(-1, 1, 1, 1, 1), images.flip(-1), images)
