"""Watches whether self-supervised representations collapse (Chen and He, CVPR 2021, section 4.1)."""

import logging

import torch
import torch.nn.functional as F
from torch import Tensor

log = logging.getLogger(__name__)

SMALLEST_SPREAD = 0.3
"""Share of 1/√d under which an epoch is warned about; a point has 0, directions drawn at random 1."""
SMALLEST_RANK = 2.0
"""Effective rank under which an epoch is warned about; a line has 1."""


def spread(projections: Tensor) -> float:
    """How far N projections spread over the unit sphere: 1 in all directions alike, 0 when they are one point.

    Each is divided by its length; the standard deviation of each dimension over the N, averaged over the d dimensions,
    is compared with 1/√d, that of directions drawn at random.

    Args:
        projections: `[N, d]`, N ≥ 2.
    """
    directions = F.normalize(projections.float(), dim=1)
    return float(directions.std(dim=0, correction=0).mean() * projections.shape[1] ** 0.5)


def effective_rank(projections: Tensor) -> float:
    """In how many directions N projections differ, from 1 to min(N - 1, d); 0 when they are one point.

    The exponential of the entropy of the singular values (Roy and Vetterli, EUSIPCO 2007), of directions about their
    mean. The projector's last normalisation stretches each dimension to the same spread, whatever is left in it:
    projections on one line then spread as far as healthy ones, and only this tells.

    Args:
        projections: `[N, d]`, N ≥ 2.
    """
    directions = F.normalize(projections.double(), dim=1)
    sizes = torch.linalg.svdvals(directions - directions.mean(dim=0))
    if sizes.sum() < 1e-6:
        return 0.0
    shares = sizes[sizes > 0] / sizes.sum()
    return float(torch.exp(-(shares * shares.log()).sum()))


class CollapseMonitor:
    """Collects an epoch's projections; says spread and rank in the log, and warns once when either is too small.

    Attributes:
        epoch_spreads: `spread` of each finished epoch.
        epoch_ranks: `effective_rank` of each finished epoch.
    """

    def __init__(self) -> None:
        self.epoch_spreads: list[float] = []
        self.epoch_ranks: list[float] = []
        self._attempted: list[Tensor] = []
        self._projections: list[Tensor] = []
        self._warned = False

    def watch(self, projections: Tensor) -> None:
        """Note some of a step's projections `[.., d]`; does not wait for the device."""
        self._attempted.append(projections.detach().float())

    def end_step(self, num_scans: int) -> None:
        """Keep what the step noted of its B = `num_scans` scans: the last of them, where it was done again."""
        self._projections.append(torch.cat(self._attempted)[-num_scans:])
        self._attempted.clear()

    def end_epoch(self, loss: float) -> None:
        """Close the epoch, whose mean loss was `loss` and which had at least two scans."""
        projections = torch.cat(self._projections).cpu()
        self._projections.clear()
        self.epoch_spreads.append(spread(projections))
        self.epoch_ranks.append(effective_rank(projections))
        said = f"spread {self.epoch_spreads[-1]:.2f} of 1/√d, rank {self.epoch_ranks[-1]:.1f}"
        log.info("epoch %d: loss %.4f, %s of at most %d", len(self.epoch_ranks), loss, said, _most(projections))
        if self.collapsed and not self._warned:
            self._warned = True
            log.warning("the representations collapse: %s; lower the learning rate or enlarge the batch", said)

    @property
    def collapsed(self) -> bool:
        """Whether the last finished epoch's projections were close to a point or to a line."""
        if not self.epoch_spreads:
            return False
        return self.epoch_spreads[-1] < SMALLEST_SPREAD or self.epoch_ranks[-1] < SMALLEST_RANK


def _most(projections: Tensor) -> int:
    return min(len(projections) - 1, projections.shape[1])
