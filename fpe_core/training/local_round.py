"""One local round: (model, data, plan, seed) in, update out."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fpe_core.config.study import TrainingPlan
from fpe_core.data.dataset import CaseDataset, Sample
from fpe_core.errors import NotEnoughCases, TrainingDiverged
from fpe_core.models.state import read_state, write_state
from fpe_core.protocol import TrainingSummary
from fpe_core.state import FlatState
from fpe_core.training.device import make_deterministic
from fpe_core.training.hardware import Hardware
from fpe_core.training.loader import WaitingTime
from fpe_core.training.predict import Progress, no_progress, predict
from fpe_core.training.round_checkpoint import History, Resumable, RoundCheckpoint, round_key
from fpe_core.training.round_engine import PlainEngine, PrivateEngine, PrivateStudy, plain_engine, private_engine
from fpe_core.training.upload import uploaded

__all__ = ["PrivateStudy", "RoundOutcome", "train_round"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class RoundOutcome:
    """What a local round gives.

    Attributes:
        trained: the weights after the round.
        summary: counted results; without training losses where the round was private, because they are not.
        waiting_share: share in [0, 1] of the training time in which no batch was there. Stays at the site.
        accountant: of a private round, what the study has spent after it, as JSON; else None.
    """

    trained: FlatState
    summary: TrainingSummary
    waiting_share: float
    accountant: dict[str, object] | None = None


def train_round(
    model: nn.Module,
    received: FlatState,
    *,
    train: CaseDataset,
    validation: CaseDataset,
    plan: TrainingPlan,
    seed: int,
    hardware: Hardware,
    progress: Progress = no_progress,
    checkpoint: Path | None = None,
    private: PrivateStudy | None = None,
) -> RoundOutcome:
    """Train from `received` for at most `plan.local_epochs` epochs.

    With more than one epoch, the weights of the epoch with the lowest validation loss are returned, and the round stops
    early after `plan.patience_epochs` epochs without a better one. Each round starts a fresh optimiser.

    Args:
        model: on `hardware.device`; its weights are overwritten.
        received: the global model.
        train: cases to learn from.
        validation: cases for early stopping, never learned from.
        plan: the study's training section.
        seed: all randomness of the round; of a private one only what protects nobody.
        hardware: what the site trains on.
        progress: called after each optimiser step.
        checkpoint: a file that is written after each epoch, and gone on from if it is of this very round. Whoever has
            kept the outcome deletes it. A private round writes none.
        private: needed where `plan.privacy` is set.

    Raises:
        NotEnoughCases: no training case, or none of one class.
        TrainingDiverged: the loss is not finite.
        TrainingError: a single case does not fit on the device, or `private` is missing.
        PrivacyBudgetSpent: a private round would exceed the study's ε.
    """
    if min(train.num_positive, train.num_negative) < 1:
        raise NotEnoughCases("training needs at least one case of each class")
    if plan.local_epochs > 1 and not len(validation):
        raise NotEnoughCases("a round of several epochs needs a validation case, by which its best epoch is chosen")
    started, waiting = time.monotonic(), WaitingTime()
    make_deterministic(seed, deterministic=plan.deterministic)
    write_state(model, received)
    engine: PlainEngine | PrivateEngine
    book, history = None, History(received)
    if plan.privacy:
        engine = private_engine(model, train, plan, seed=seed, hardware=hardware, study=private)
    else:
        engine = plain_engine(model, train, plan, seed=seed, hardware=hardware)
        if checkpoint:
            key = round_key(received, train=train, validation=validation, plan=plan, seed=seed, hardware=hardware)
            book = RoundCheckpoint(checkpoint, key, Resumable(model, engine.stepper, engine.schedule, engine.shuffle))
            history = book.resume(received)
    started -= history.training_s
    while not history.is_over(plan):
        history.epoch_losses.append(_train_epoch(model, train, engine, plan, waiting, progress, history))
        if plan.local_epochs == 1:
            history.best = read_state(model)
        else:
            loss = predict(model, validation, plan=plan, hardware=engine.hardware).loss
            _judge(model, loss, engine, history)
        history.training_s = time.monotonic() - started
        if book:
            book.save(history, finished=history.is_over(plan))
    log.info("%d epochs; %.0f %% of the time waited for cases", len(history.epoch_losses), 100 * waiting.share)
    return RoundOutcome(history.best, _summary(train, plan, history), waiting.share, engine.spent())


def _judge(model: nn.Module, loss: float, engine: PlainEngine | PrivateEngine, history: History) -> None:
    """Keep the weights if their validation loss is the lowest so far, and adapt the learning rate."""
    if loss < history.best_loss:
        history.best_loss, history.best, history.best_epoch = loss, read_state(model), len(history.epoch_losses) - 1
    if engine.schedule:
        engine.schedule.step(loss)


def _train_epoch(
    model: nn.Module,
    train: CaseDataset,
    engine: PlainEngine | PrivateEngine,
    plan: TrainingPlan,
    waiting: WaitingTime,
    progress: Progress,
    history: History,
) -> float:
    """One pass over the cases; returns the mean loss per case."""
    model.train()
    epoch = len(history.epoch_losses)
    total, seen = 0.0, 0
    for batch in waiting.watch(uploaded(engine.batches, engine.stepper.device)):
        try:
            loss = engine.stepper.step(_prepared(batch, plan, engine))
        except TrainingDiverged as error:
            raise TrainingDiverged(f"{error} in epoch {epoch + 1}", hint=error.hint) from error
        total, seen = total + loss * len(batch.label), seen + len(batch.label)
        # A private epoch's batches hold as many cases as there are on average only.
        progress("train", epoch * len(train) + min(seen, len(train)), plan.local_epochs * len(train))
    return total / max(seen, 1)


def _prepared(batch: Sample, plan: TrainingPlan, engine: PlainEngine | PrivateEngine) -> Sample:
    """The batch as the network sees it; mirrored on the device, where it costs least."""
    return batch._replace(image=_mirrored(batch.image, engine.shuffle)) if plan.flip_left_right else batch


def _mirrored(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror left and right (the last axis) of each case `(B, C, Z, H, W)` with probability one half, in place."""
    flips = torch.rand(len(images), generator=generator) < 0.5
    for i in flips.nonzero().flatten().tolist():
        images[i] = images[i].flip(-1)
    return images


def _summary(train: CaseDataset, plan: TrainingPlan, history: History) -> TrainingSummary:
    return TrainingSummary(
        num_cases=len(train),
        num_positive=train.num_positive,
        num_epochs=len(history.epoch_losses),
        epoch_losses=() if plan.privacy else tuple(history.epoch_losses),
        training_s=history.training_s,
    )
