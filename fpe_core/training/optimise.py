"""The optimiser and the learning rate's schedule of a round, as the study plan says."""

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from fpe_core.config.study import TrainingPlan

_FUSED_ON = ("cpu", "cuda")
_PLATEAU_FACTOR = 0.1


def make_optimiser(model: nn.Module, plan: TrainingPlan, device: torch.device) -> Optimizer:
    """A fresh optimiser over all parameters of `model`, which is on `device`.

    Momentum and variance start at zero in every round: those of weights that the average has since moved would point
    nowhere. One fused kernel updates all parameters where torch has it.
    """
    optimiser: type[torch.optim.Adam] = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[plan.optimiser]
    return optimiser(
        model.parameters(),
        lr=plan.learning_rate,
        weight_decay=plan.weight_decay,
        fused=True if device.type in _FUSED_ON else None,
    )


def make_schedule(optimiser: Optimizer, plan: TrainingPlan) -> ReduceLROnPlateau | None:
    """Cuts the learning rate to a tenth after more than `plan.plateau_patience_epochs` epochs in a row without a lower
    validation loss, however little lower; None where the plan wants a constant rate."""
    if plan.plateau_patience_epochs is None:
        return None
    return ReduceLROnPlateau(
        optimiser, mode="min", factor=_PLATEAU_FACTOR, patience=plan.plateau_patience_epochs, threshold=0.0
    )
