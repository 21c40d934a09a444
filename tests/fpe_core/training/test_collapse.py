"""The collapse monitor on representations whose spread and rank are known."""

import logging

import pytest
import torch
from torch import nn

from fpe_core.training.collapse import CollapseMonitor, effective_rank, spread


def random_directions(count: int, size: int) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(0))


def on_a_line(count: int, size: int) -> torch.Tensor:
    """As the projector gives them: scattered along one direction, then normalised dimension by dimension."""
    generator = torch.Generator().manual_seed(1)
    line = torch.randn(count, 1, generator=generator) * torch.randn(1, size, generator=generator)
    return nn.BatchNorm1d(size, affine=False)(line).detach()


def test_random_directions_spread_fully() -> None:
    assert spread(random_directions(4000, 64)) == pytest.approx(1, abs=0.02)


def test_a_point_does_not_spread_at_all() -> None:
    assert spread(torch.ones(8, 64)) == pytest.approx(0, abs=1e-6)
    assert effective_rank(torch.ones(8, 64)) == 0


def test_the_length_of_a_projection_is_no_spread() -> None:
    lengths = torch.arange(1.0, 9.0).unsqueeze(1)
    assert spread(torch.ones(8, 64) * lengths) == pytest.approx(0, abs=1e-6)


def test_spread_by_hand() -> None:
    # Two opposite unit vectors along one of two axes: standard deviations 1 and 0, mean 1/2, times √2.
    assert spread(torch.tensor([[3.0, 0.0], [-5.0, 0.0]])) == pytest.approx(2**0.5 / 2)


def test_rank_counts_directions() -> None:
    assert effective_rank(torch.cat([torch.eye(6), -torch.eye(6)])) == pytest.approx(6)
    assert effective_rank(torch.cat([torch.eye(6)[:2], -torch.eye(6)[:2]])) == pytest.approx(2)
    assert effective_rank(random_directions(200, 16)) == pytest.approx(16, abs=0.3)


def test_a_line_behind_a_normalisation_spreads_and_has_rank_one() -> None:
    """What the spread alone would call healthy."""
    assert spread(on_a_line(64, 32)) > 0.9
    assert effective_rank(on_a_line(64, 32)) == pytest.approx(1, abs=0.01)


def test_an_epoch_is_all_its_batches() -> None:
    monitor = CollapseMonitor()
    directions = random_directions(64, 16)
    for part in directions.split(10):
        monitor.watch(part)
        monitor.end_step(len(part))
    monitor.end_epoch(-0.5)
    monitor.watch(directions[:10])
    monitor.watch(directions[10:20])
    monitor.end_step(20)
    monitor.end_epoch(-0.6)
    assert monitor.epoch_spreads == pytest.approx([spread(directions), spread(directions[:20])])
    assert monitor.epoch_ranks == pytest.approx([effective_rank(directions), effective_rank(directions[:20])])


def test_a_step_that_was_done_again_counts_once() -> None:
    """Of eight scans at once the first attempt noted all before memory ran out, the second has noted them by halves."""
    monitor, directions = CollapseMonitor(), random_directions(8, 16)
    monitor.watch(torch.ones(8, 16))
    monitor.watch(directions[:4])
    monitor.watch(directions[4:])
    monitor.end_step(8)
    monitor.end_epoch(-0.5)
    assert monitor.epoch_ranks == pytest.approx([effective_rank(directions)])


@pytest.mark.parametrize("collapsed", [torch.ones(8, 16), on_a_line(8, 16)], ids=["point", "line"])
def test_collapse_is_warned_about_once(collapsed: torch.Tensor, caplog: pytest.LogCaptureFixture) -> None:
    monitor = CollapseMonitor()
    for _ in range(3):
        monitor.watch(collapsed)
        monitor.end_step(len(collapsed))
        monitor.end_epoch(-1.0)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "collapse" in warnings[0].getMessage()
    assert monitor.collapsed


def test_healthy_training_is_logged_and_not_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    monitor = CollapseMonitor()
    assert not monitor.collapsed
    monitor.watch(random_directions(500, 16))
    monitor.end_step(500)
    monitor.end_epoch(-0.25)
    assert [record.levelno for record in caplog.records] == [logging.INFO]
    assert "loss -0.2500" in caplog.text
    assert "of at most 16" in caplog.text
    assert not monitor.collapsed
