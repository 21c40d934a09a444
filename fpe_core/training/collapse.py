"""Watches whether self-supervised representations collapse to a point (Chen and He, CVPR 2021, section 4.1)."""

import logging
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

log = logging.getLogger(__name__)

COLLAPSED_BELOW = 0.3
"""Share of the healthy spread under which an epoch is warned about. Healthy training stays near 1, collapsed training
falls to 0; small batches and few scans lower a healthy one somewhat."""


def spread(projections: Tensor) -> float:
    """How far N projections spread over the unit sphere: 1 in all directions alike, 0 when they are one point.

    Each is divided by its length; the standard deviation of each dimension over the N, averaged over the d dimensions,
    is compared with 1/√d, that of directions drawn at random.

    Args:
        projections: `[N, d]`, N ≥ 2.
    """
    directions = F.normalize(projections.float(), dim=1)
    return float(directions.std(dim=0, correction=0).mean() * projections.shape[1] ** 0.5)


@dataclass
class CollapseMonitor:
    """Collects the spread of an epoch's batches; says it in the log, and warns once when it is too small."""

    epoch_spreads: list[float]
    """Mean spread of each finished epoch."""

    def __init__(self) -> None:
        self.epoch_spreads = []
        self._sum, self._batches, self._warned = 0.0, 0, False

    def watch(self, projections: Tensor) -> None:
        """Take note of a batch's projections `[N, d]`; a batch of one says nothing."""
        if len(projections) > 1:
            self._sum, self._batches = self._sum + spread(projections), self._batches + 1

    def end_epoch(self, loss: float) -> None:
        """Close the epoch, whose mean loss was `loss`."""
        share = self._sum / max(self._batches, 1)
        self._sum, self._batches = 0.0, 0
        self.epoch_spreads.append(share)
        log.info("epoch %d: loss %.4f, spread %.2f of 1/√d", len(self.epoch_spreads), loss, share)
        if share < COLLAPSED_BELOW and not self._warned:
            self._warned = True
            log.warning(
                "the representations collapse: their spread is %.2f of 1/√d, healthy is near 1; "
                "lower the learning rate or enlarge the batch",
                share,
            )

    @property
    def collapsed(self) -> bool:
        """Whether the last finished epoch was below `COLLAPSED_BELOW`."""
        return bool(self.epoch_spreads) and self.epoch_spreads[-1] < COLLAPSED_BELOW
