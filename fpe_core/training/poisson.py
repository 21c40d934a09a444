"""Poisson sampling: whether a case is in a batch depends on no other case."""

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import DataLoader, Sampler, default_collate

from fpe_core.data.dataset import CaseDataset, Sample
from fpe_core.training.hardware import Hardware
from fpe_core.training.loader import clean_processes
from fpe_core.training.secret_stream import SecretStream


class PoissonBatches(Sampler[list[int]]):
    """Batches of case numbers; every case is in each with probability `sample_rate`, so that a batch may be empty.

    The noise may be smaller because nobody knows who was in a batch: the draws come from a secret stream, which Opacus'
    own sampler cannot take.

    Args:
        num_cases: cases to draw from, N ≥ 1.
        sample_rate: probability in (0, 1].
        num_steps: batches of one pass; each pass draws anew.
        stream: where the draws come from.
    """

    def __init__(self, num_cases: int, *, sample_rate: float, num_steps: int, stream: SecretStream) -> None:
        self.num_cases = num_cases
        self.sample_rate = sample_rate
        self.num_steps = num_steps
        self.stream = stream

    def __len__(self) -> int:
        return self.num_steps

    def __iter__(self) -> Iterator[list[int]]:
        for _ in range(self.num_steps):
            drawn = self.stream.uniform(self.num_cases) < self.sample_rate
            yield drawn.nonzero().flatten().tolist()


def poisson_loader(cases: CaseDataset, batches: PoissonBatches, hardware: Hardware) -> DataLoader[Sample]:
    """Batches of `cases` as samples; an empty one has zero cases of the same shape as the others'."""
    several = hardware.num_workers > 0
    return DataLoader(
        cases,
        batch_sampler=batches,
        collate_fn=_Collate(cases[0]),
        num_workers=hardware.num_workers,
        pin_memory=hardware.device.type == "cuda",
        persistent_workers=several,
        # They have no part of the secret stream either.
        multiprocessing_context=clean_processes() if several else None,
        # A generator of its own: torch's global one would be drawn from in each epoch.
        generator=torch.Generator(),
    )


class _Collate:
    """Opacus' own fails on named tuples, and gives a list where the first batch is the empty one."""

    def __init__(self, case: Sample) -> None:
        self.empty = Sample(*(torch.empty(0, *field.shape, dtype=field.dtype) for field in case))

    def __call__(self, cases: Sequence[Sample]) -> Sample:
        if not cases:
            return self.empty
        batch: Sample = default_collate(list(cases))
        return batch
