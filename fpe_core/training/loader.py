"""Batches of cases, read ahead of the steps, and how long the steps waited for them."""

import time
from collections.abc import Iterable, Iterator
from math import ceil
from multiprocessing import get_context

import torch
from torch.utils.data import DataLoader, Sampler, WeightedRandomSampler

from fpe_core.data.dataset import CaseDataset, Sample
from fpe_core.training.hardware import Hardware


def ordered_batches(cases: CaseDataset, *, batch_size: int, hardware: Hardware) -> DataLoader[Sample]:
    """All cases in their own order."""
    return _loader(cases, None, batch_size=batch_size, hardware=hardware, seed=0)


def training_batches(
    cases: CaseDataset, *, batch_size: int, balanced: bool, hardware: Hardware, shuffle: torch.Generator
) -> DataLoader[Sample]:
    """As many cases as there are, in a new order in each epoch; the last batch may be smaller.

    Args:
        cases: at least one of each class.
        batch_size: cases per batch.
        balanced: draw cases of both classes equally often, with replacement, instead of each case once.
        hardware: how many processes read ahead. Their number changes no batch.
        shuffle: decides the order; an epoch's draws are made when the epoch begins.
    """
    order: Sampler[int]
    if balanced:
        share = {0: 1 / cases.num_negative, 1: 1 / cases.num_positive}
        weights = [share[case.label] for case in cases.cases]
        order = WeightedRandomSampler(weights, num_samples=len(cases), replacement=True, generator=shuffle)
    else:
        order = _EachOnce(len(cases), shuffle)
    return _loader(cases, order, batch_size=batch_size, hardware=hardware, seed=shuffle.initial_seed())


class _EachOnce(Sampler[int]):
    """Every case once, in a new order each time. torch's own draws once more when it is exhausted, which is earlier
    where processes read ahead, and would change the flips drawn in between."""

    def __init__(self, num_cases: int, generator: torch.Generator) -> None:
        self.num_cases = num_cases
        self.generator = generator

    def __len__(self) -> int:
        return self.num_cases

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(self.num_cases, generator=self.generator).tolist())


class WaitingTime:
    """Measures how much of an epoch's time passes before batches are there."""

    def __init__(self) -> None:
        self.waiting_s = 0.0
        self.working_s = 0.0

    def watch(self, batches: Iterable[Sample]) -> Iterator[Sample]:
        """The same batches; what the caller does with each counts as work."""
        arriving = iter(batches)
        while True:
            asked = time.perf_counter()
            batch = next(arriving, None)
            arrived = time.perf_counter()
            self.waiting_s += arrived - asked
            if batch is None:
                return
            yield batch
            self.working_s += time.perf_counter() - arrived

    @property
    def share(self) -> float:
        """Waiting in [0, 1] of all the time; 0 where nothing was watched."""
        total = self.waiting_s + self.working_s
        return self.waiting_s / total if total else 0.0


def _loader(
    cases: CaseDataset, order: Sampler[int] | None, *, batch_size: int, hardware: Hardware, seed: int
) -> DataLoader[Sample]:
    # A process takes seconds to start; beyond one for each batch it would have nothing to read.
    num_workers = min(hardware.num_workers, ceil(len(cases) / batch_size))
    return DataLoader(
        cases,
        batch_size=batch_size,
        sampler=order,
        num_workers=num_workers,
        pin_memory=hardware.device.type == "cuda",
        persistent_workers=num_workers > 0,
        multiprocessing_context=clean_processes() if num_workers else None,
        # A generator of its own: torch's global one would be drawn from in each epoch, and only sometimes.
        generator=torch.Generator().manual_seed(seed),
    )


def clean_processes() -> object:
    """Workers that share no lock, thread or GPU with this process; torch is imported once for all of them."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["fpe_core.data.dataset"])
    return context
