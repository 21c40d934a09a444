"""Training losses."""

import torch.nn.functional as F
from torch import Tensor

from fpe_core.models.mnt_dl import MntDlOutput


def mnt_dl_loss(output: MntDlOutput, target: Tensor, *, subnet_weight: float, pos_weight: Tensor | None) -> Tensor:
    """L = L_fusion + γ · Σᵢ L_subnetᵢ, each binary cross-entropy, mean over the batch (MNT-DL paper, loss; γ = 0.5).

    Args:
        output: logits of B cases, any floating dtype; the loss is computed in float32.
        target: `[B]` float, 0 or 1.
        subnet_weight: γ.
        pos_weight: factor on the positive cases' terms, a scalar tensor on the logits' device; None for 1.

    Returns:
        Scalar float32.
    """
    fusion, subnets = output.fusion.float(), output.subnets.float()
    # The target's own length decides the shape, so that a batch of another size is refused and never broadcast.
    labels = target.float().view(len(target), 1)
    fusion_loss = F.binary_cross_entropy_with_logits(fusion, labels, pos_weight=pos_weight)
    wide = labels.expand(len(target), subnets.shape[1])
    mean_subnet_loss = F.binary_cross_entropy_with_logits(subnets, wide, pos_weight=pos_weight)
    return fusion_loss + subnet_weight * subnets.shape[1] * mean_subnet_loss
