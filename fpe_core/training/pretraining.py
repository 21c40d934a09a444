"""One local round of self-supervised pre-training: (model, scans, plan, seed) in, weights out."""

import logging
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from fpe_core.config.pretraining import PretrainingPlan
from fpe_core.data.dataset import CaseDataset, Sample
from fpe_core.errors import NotEnoughCases
from fpe_core.models.simsiam import SimSiam, simsiam_loss
from fpe_core.models.state import read_state, write_state
from fpe_core.seeds import derive_seed
from fpe_core.state import FlatState
from fpe_core.training.augment import augment, draw_augmentation
from fpe_core.training.collapse import CollapseMonitor
from fpe_core.training.device import make_deterministic
from fpe_core.training.hardware import Hardware
from fpe_core.training.loader import WaitingTime, training_batches
from fpe_core.training.predict import Progress, no_progress
from fpe_core.training.step import Stepper
from fpe_core.training.upload import uploaded

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PretrainingOutcome:
    """What a round of pre-training gives.

    Attributes:
        trained: weights of the whole `SimSiam`, projector and predictor too.
        epoch_losses: mean loss per scan of each epoch, in [-1, 1].
        epoch_spreads: spread of each epoch's projections, see `spread`.
        epoch_ranks: their effective rank, see `effective_rank`.
        collapsed: whether either was too small in the last epoch.
        training_s: wall time in seconds.
        waiting_share: share in [0, 1] of the training time in which no batch was there.
    """

    trained: FlatState
    epoch_losses: tuple[float, ...]
    epoch_spreads: tuple[float, ...]
    epoch_ranks: tuple[float, ...]
    collapsed: bool
    training_s: float
    waiting_share: float


def pretrain_round(
    model: SimSiam,
    received: FlatState,
    *,
    unlabelled: CaseDataset,
    plan: PretrainingPlan,
    seed: int,
    hardware: Hardware,
    progress: Progress = no_progress,
) -> PretrainingOutcome:
    """Train from `received` for `plan.local_epochs` epochs; labels are not looked at.

    Args:
        model: on `hardware.device`; its weights are overwritten.
        received: the global model.
        unlabelled: scans; of their labels and clinical columns nothing is used.
        plan: the pre-training's plan.
        seed: all randomness of the round.
        hardware: what the site trains on. Micro-batches keep at least two scans.
        progress: called after each optimiser step.

    Raises:
        NotEnoughCases: fewer than two scans.
        TrainingDiverged: the loss is not finite.
        TrainingError: two scans do not fit on the device.
    """
    if len(unlabelled) < 2:
        raise NotEnoughCases(f"self-supervision needs at least 2 scans, got {len(unlabelled)}")
    started, waiting, monitor = time.monotonic(), WaitingTime(), CollapseMonitor()
    make_deterministic(seed, deterministic=plan.deterministic)
    write_state(model, received)
    shuffle = torch.Generator().manual_seed(seed)
    batches = training_batches(
        unlabelled, batch_size=plan.batch_size, balanced=False, hardware=hardware, shuffle=shuffle
    )
    stepper = simsiam_stepper(model, plan, monitor, hardware)
    generator = torch.Generator().manual_seed(derive_seed(seed, "views"))
    losses: list[float] = []
    for epoch in range(plan.local_epochs):
        model.train()
        total, seen = 0.0, 0
        for batch in waiting.watch(uploaded(batches, hardware.device)):
            # A last batch of one scan has no second to be normalised with.
            if len(batch.label) > 1:
                views = two_views(batch, plan, generator)
                total += stepper.step(views) * len(batch.label)
                monitor.end_step(len(batch.label))
                seen += len(batch.label)
            progress("pretrain", epoch * len(unlabelled) + seen, plan.local_epochs * len(unlabelled))
        losses.append(total / seen)
        monitor.end_epoch(losses[-1])
    log.info("%.0f %% of the time waited for scans", 100 * waiting.share)
    return PretrainingOutcome(
        trained=read_state(model),
        epoch_losses=tuple(losses),
        epoch_spreads=tuple(monitor.epoch_spreads),
        epoch_ranks=tuple(monitor.epoch_ranks),
        collapsed=monitor.collapsed,
        training_s=time.monotonic() - started,
        waiting_share=waiting.share,
    )


def two_views(batch: Sample, plan: PretrainingPlan, generator: torch.Generator) -> Sample:
    """The batch with two views of each scan in place of the scan, `[B, 2 · C, Z, H, W]`.

    Made for the whole batch at once, so that how it is cut to fit the device changes no view.
    """
    num_cases, num_channels = batch.image.shape[:2]
    views = [
        augment(batch.image, draw_augmentation(plan.augmentation, num_cases, generator, num_channels=num_channels))
        for _ in range(2)
    ]
    return batch._replace(image=torch.cat(views, dim=1))


def simsiam_stepper(model: SimSiam, plan: PretrainingPlan, monitor: CollapseMonitor, hardware: Hardware) -> Stepper:
    """Optimiser steps on batches of `two_views`; `monitor` sees the projections of each."""

    def objective(views: Sample) -> Tensor:
        first, second = views.image.chunk(2, dim=1)
        output = model(first, second)
        monitor.watch(output.first_projection)
        return simsiam_loss(output)

    optimiser = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=True)
    return Stepper(model, optimiser, objective, hardware=hardware, precision=plan.precision, smallest_micro_batch=2)
