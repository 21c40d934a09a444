"""A model's probabilities and losses on a set of cases."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fpe_core.config.study import TrainingPlan
from fpe_core.data.dataset import CaseDataset, Sample
from fpe_core.errors import TrainingDiverged
from fpe_core.models.output import ModelOutput
from fpe_core.training.device import autocast, choose_kernels, compile_once
from fpe_core.training.hardware import Hardware
from fpe_core.training.loader import ordered_batches
from fpe_core.training.losses import outcome_loss
from fpe_core.training.micro_batches import MicroBatches, is_out_of_memory, release_memory

Progress = Callable[[str, int, int], None]
"""Called with a stage's name, the steps done and the steps in all."""


def no_progress(stage: str, done: int, total: int) -> None:
    """For callers that show nothing."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says about N cases.

    Attributes:
        probabilities: `(N,)` float64, sigmoid of the prediction's logit.
        labels: `(N,)` int64, 0 or 1.
        loss: mean training loss per case, without class weights.
    """

    probabilities: NDArray[np.float64]
    labels: NDArray[np.int64]
    loss: float


def network_output(model: nn.Module, batch: Sample) -> ModelOutput:
    """What `model` says about a batch on its device; it is shown clinical columns where the cases have some."""
    inputs = (batch.image, batch.tabular) if batch.tabular.shape[1] else (batch.image,)
    output: ModelOutput = model(*inputs)
    return output


@torch.no_grad()
def predict(
    model: nn.Module,
    cases: CaseDataset,
    *,
    plan: TrainingPlan,
    hardware: Hardware,
    progress: Progress = no_progress,
    stage: str = "evaluate",
) -> Predictions:
    """Run `model` in evaluation mode over `cases`, in their order.

    Raises:
        TrainingDiverged: an output is not finite.
        TrainingError: a single case does not fit on the device.
    """
    if hardware.compile:
        compile_once(model)
    choose_kernels(deterministic=plan.deterministic)
    model.eval()
    micro_batches = MicroBatches(hardware.micro_batch_size)
    logits, loss = torch.zeros(0), 0.0
    for batch in ordered_batches(cases, batch_size=plan.batch_size, hardware=hardware) if len(cases) else ():
        some_logits, some_loss = _judged(model, batch, plan, hardware.device, micro_batches)
        logits, loss = torch.cat([logits, some_logits]), loss + some_loss
        progress(stage, len(logits), len(cases))
    probabilities = torch.sigmoid(logits.double()).numpy()
    if not (np.isfinite(probabilities).all() and np.isfinite(loss)):
        raise TrainingDiverged("the model's outputs are not finite")
    labels = np.array([case.label for case in cases.cases], dtype=np.int64)
    return Predictions(probabilities, labels, loss / max(len(cases), 1))


def _judged(
    model: nn.Module, batch: Sample, plan: TrainingPlan, device: torch.device, micro_batches: MicroBatches
) -> tuple[Tensor, float]:
    """Logits `(B,)` float32 on the CPU, and the sum of the cases' losses, in parts where the whole does not fit."""
    while True:
        try:
            parts = [_judged_part(model, part.to(device), plan) for part in micro_batches.split(batch)]
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            parts = []
        if parts:
            logits, losses = zip(*parts, strict=True)
            return torch.cat(logits).cpu(), float(sum(losses))
        release_memory(device)
        micro_batches.halve(len(batch.label))


def _judged_part(model: nn.Module, part: Sample, plan: TrainingPlan) -> tuple[Tensor, Tensor]:
    with autocast(part.image.device, plan.precision):
        output = network_output(model, part)
    mean_loss = outcome_loss(output, part.label, subnet_weight=plan.subnet_loss_weight, pos_weight=None)
    return output.logits.float().flatten(), mean_loss.double() * len(part.label)
