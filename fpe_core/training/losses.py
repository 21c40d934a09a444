"""Training losses."""

import torch.nn.functional as F
from torch import Tensor

from fpe_core.models.output import ModelOutput


def outcome_loss(output: ModelOutput, target: Tensor, *, subnet_weight: float, pos_weight: Tensor | None) -> Tensor:
    """L = L_volume + γ · Σᵢ L_subnetᵢ, each binary cross-entropy, mean over the batch (MNT-DL paper, loss; γ = 0.5).

    A network without subnets has the first term alone.

    Args:
        output: logits of B cases, any floating dtype; the loss is computed in float32.
        target: `[B]` float, 0 or 1.
        subnet_weight: γ.
        pos_weight: factor on the positive cases' terms, a scalar tensor on the logits' device; None for 1.

    Returns:
        Scalar float32.
    """
    # The target's own length decides the shape, so that a batch of another size is refused and never broadcast.
    labels = target.float().view(len(target), 1)
    loss = F.binary_cross_entropy_with_logits(output.logits.float(), labels, pos_weight=pos_weight)
    if output.subnets is None:
        return loss
    subnets = output.subnets.float()
    wide = labels.expand(len(target), subnets.shape[1])
    mean_subnet_loss = F.binary_cross_entropy_with_logits(subnets, wide, pos_weight=pos_weight)
    return loss + subnet_weight * subnets.shape[1] * mean_subnet_loss
