"""The collapse monitor on representations whose spread is known."""

import logging

import pytest
import torch

from fpe_core.training.collapse import COLLAPSED_BELOW, CollapseMonitor, spread


def random_directions(count: int, size: int) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(0))


def test_random_directions_spread_fully() -> None:
    assert spread(random_directions(4000, 64)) == pytest.approx(1, abs=0.02)


def test_a_point_does_not_spread_at_all() -> None:
    assert spread(torch.ones(8, 64)) == pytest.approx(0, abs=1e-6)


def test_the_length_of_a_projection_is_no_spread() -> None:
    lengths = torch.arange(1.0, 9.0).unsqueeze(1)
    assert spread(torch.ones(8, 64) * lengths) == pytest.approx(0, abs=1e-6)


def test_spread_by_hand() -> None:
    # Two opposite unit vectors along one of two axes: standard deviations 1 and 0, mean 1/2, times √2.
    assert spread(torch.tensor([[3.0, 0.0], [-5.0, 0.0]])) == pytest.approx(2**0.5 / 2)


def test_an_epoch_is_the_mean_of_its_batches() -> None:
    monitor = CollapseMonitor()
    healthy, collapsed = random_directions(500, 16), torch.ones(500, 16)
    monitor.watch(healthy)
    monitor.watch(collapsed)
    monitor.watch(healthy[:1])
    monitor.end_epoch(-0.5)
    monitor.watch(healthy)
    monitor.end_epoch(-0.6)
    assert monitor.epoch_spreads == [pytest.approx(spread(healthy) / 2), pytest.approx(spread(healthy))]


def test_collapse_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    monitor = CollapseMonitor()
    for _ in range(3):
        monitor.watch(torch.ones(8, 16))
        monitor.end_epoch(-1.0)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "collapse" in warnings[0].getMessage()
    assert monitor.collapsed


def test_healthy_training_is_logged_and_not_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    monitor = CollapseMonitor()
    monitor.watch(random_directions(500, 16))
    monitor.end_epoch(-0.25)
    assert [record.levelno for record in caplog.records] == [logging.INFO]
    assert "loss -0.2500" in caplog.text
    assert not monitor.collapsed
    assert monitor.epoch_spreads[0] > COLLAPSED_BELOW
