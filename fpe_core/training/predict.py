"""A model's probabilities and losses on a set of cases."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader

from fpe_core.config.study import TrainingPlan
from fpe_core.data.dataset import CaseDataset
from fpe_core.errors import TrainingDiverged
from fpe_core.training.device import autocast
from fpe_core.training.losses import outcome_loss

Progress = Callable[[str, int, int], None]
"""Called with a stage's name, the steps done and the steps in all."""


def no_progress(stage: str, done: int, total: int) -> None:
    """For callers that show nothing."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says about N cases.

    Attributes:
        probabilities: `(N,)` float64, sigmoid of the fusion logit.
        labels: `(N,)` int64, 0 or 1.
        loss: mean training loss per case, without class weights.
    """

    probabilities: NDArray[np.float64]
    labels: NDArray[np.int64]
    loss: float


@torch.no_grad()
def predict(
    model: nn.Module,
    cases: CaseDataset,
    *,
    plan: TrainingPlan,
    device: torch.device,
    progress: Progress = no_progress,
    stage: str = "evaluate",
) -> Predictions:
    """Run `model` in evaluation mode over `cases`, in their order.

    Raises:
        TrainingDiverged: an output is not finite.
    """
    model.eval()
    logits: list[torch.Tensor] = []
    loss = 0.0
    for images, labels, _ in DataLoader(cases, batch_size=plan.batch_size):
        with autocast(device, plan.precision):
            output = model(images.to(device))
        batch_loss = outcome_loss(output, labels.to(device), subnet_weight=plan.subnet_loss_weight, pos_weight=None)
        loss += float(batch_loss) * len(labels)
        logits.append(output.logits.float().cpu().flatten())
        progress(stage, sum(len(part) for part in logits), len(cases))
    probabilities = torch.sigmoid(torch.cat(logits).double()).numpy() if logits else np.zeros(0)
    if not (np.isfinite(probabilities).all() and np.isfinite(loss)):
        raise TrainingDiverged("the model's outputs are not finite")
    labels_array = np.array([case.label for case in cases.cases], dtype=np.int64)
    return Predictions(probabilities, labels_array, loss / max(len(cases), 1))
