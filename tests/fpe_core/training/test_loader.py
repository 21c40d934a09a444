"""Batches in an order that follows from the seed alone, and the time spent waiting for them."""

from collections.abc import Iterator

import pytest
import torch

from fpe_core.data.dataset import CaseDataset, Sample, SplitCases
from fpe_core.errors import CaseFileUnreadable
from fpe_core.training import loader
from fpe_core.training.hardware import Hardware
from fpe_core.training.loader import WaitingTime, ordered_batches, training_batches

CPU = torch.device("cpu")


Epoch = list[tuple[Sample, float]]


def epochs(
    cases: CaseDataset, *, num_epochs: int = 2, seed: int = 1, num_workers: int = 0, balanced: bool = False
) -> list[Epoch]:
    """Each epoch's batches, and a draw from the same generator after each batch, as mirroring makes one."""
    shuffle = torch.Generator().manual_seed(seed)
    hardware = Hardware(CPU, num_workers=num_workers)
    loader = training_batches(cases, batch_size=5, balanced=balanced, hardware=hardware, shuffle=shuffle)
    return [[(batch, torch.rand(1, generator=shuffle).item()) for batch in loader] for _ in range(num_epochs)]


def numbers(cases: CaseDataset, epoch: Epoch) -> list[int]:
    """Which case each image of an epoch is."""
    images = [cases[i].image for i in range(len(cases))]
    return [
        next(i for i, own in enumerate(images) if torch.equal(own, image))
        for batch, _ in epoch
        for image in batch.image
    ]


def test_each_case_comes_once_in_each_epoch_and_in_a_new_order(splits: SplitCases) -> None:
    first, second = epochs(splits.train)
    assert [len(batch.label) for batch, _ in first] == [5, 5, 2]
    orders = [numbers(splits.train, epoch) for epoch in (first, second)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(12))
    assert orders[0] != orders[1]
    assert torch.cat([batch.label for batch, _ in first]).tolist() == [float(i < 6) for i in orders[0]]


@pytest.mark.parametrize("balanced", [False, True])
def test_processes_that_read_ahead_change_no_batch_and_no_draw(splits: SplitCases, balanced: bool) -> None:
    alone = epochs(splits.train, balanced=balanced)
    ahead = epochs(splits.train, balanced=balanced, num_workers=2)
    for one, other in zip(alone, ahead, strict=True):
        for (batch, draw), (same, same_draw) in zip(one, other, strict=True):
            assert draw == same_draw
            assert all(torch.equal(tensor, again) for tensor, again in zip(batch, same, strict=True))


def test_the_seed_decides_the_order(splits: SplitCases) -> None:
    orders = [numbers(splits.train, epochs(splits.train, num_epochs=1, seed=seed)[0]) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_torchs_own_generator_is_left_alone(splits: SplitCases) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    epochs(splits.train)
    list(ordered_batches(splits.train, batch_size=5, hardware=Hardware(CPU)))
    assert torch.equal(torch.get_rng_state(), before)


def test_balanced_draws_show_the_rare_class_as_often(splits: SplitCases) -> None:
    cases = CaseDataset([*splits.train.cases[:1], *splits.train.cases[6:]], splits.train.channels)
    assert (cases.num_positive, cases.num_negative) == (1, 6)
    drawn = epochs(cases, num_epochs=60, balanced=True)
    assert {sum(len(batch.label) for batch, _ in epoch) for epoch in drawn} == {7}
    labels = torch.cat([batch.label for epoch in drawn for batch, _ in epoch])
    # 420 fair draws: 210 positive with a standard deviation of 10.
    assert 170 < labels.sum().item() < 250
    assert len({i for epoch in drawn[:10] for i in numbers(cases, epoch)}) == 7


def test_cases_in_order_are_in_order(splits: SplitCases) -> None:
    batches = list(ordered_batches(splits.test, batch_size=4, hardware=Hardware(CPU)))
    assert torch.cat([batch.label for batch in batches]).tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(("batch_size", "num_processes"), [(7, 1), (6, 1), (5, 2), (1, 2)])
def test_there_are_no_more_processes_than_batches(splits: SplitCases, batch_size: int, num_processes: int) -> None:
    assert len(splits.test) == 6
    batches = ordered_batches(splits.test, batch_size=batch_size, hardware=Hardware(CPU, num_workers=2))
    assert batches.num_workers == num_processes


def test_an_unreadable_case_keeps_its_code_in_another_process(splits: SplitCases) -> None:
    splits.test.cases[0].file.write_bytes(b"not a case")
    with pytest.raises(CaseFileUnreadable):
        list(ordered_batches(splits.test, batch_size=4, hardware=Hardware(CPU, num_workers=1)))


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def perf_counter(self) -> float:
        return self.now_s


@pytest.mark.parametrize(("reading_s", "working_s", "share"), [(3.0, 1.0, 0.75), (1.0, 3.0, 0.25), (0.0, 2.0, 0.0)])
def test_waiting_is_its_share_of_the_time(
    splits: SplitCases, monkeypatch: pytest.MonkeyPatch, reading_s: float, working_s: float, share: float
) -> None:
    clock = Clock()
    monkeypatch.setattr(loader, "time", clock)

    def slow() -> Iterator[Sample]:
        for i in range(4):
            clock.now_s += reading_s
            yield splits.train[i]

    waiting = WaitingTime()
    for i, batch in enumerate(waiting.watch(slow())):
        assert torch.equal(batch.image, splits.train[i].image)
        clock.now_s += working_s
    assert (waiting.waiting_s, waiting.working_s) == (4 * reading_s, 4 * working_s)
    assert waiting.share == share


def test_nobody_waited_before_the_start() -> None:
    assert WaitingTime().share == 0.0
