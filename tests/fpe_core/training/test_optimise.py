"""Optimisers and the learning rate's schedule."""

from typing import Any

import pytest
import torch
from torch import nn

from fpe_core.config.study import TrainingPlan
from fpe_core.training.device import place
from fpe_core.training.optimise import make_optimiser, make_schedule

CPU = torch.device("cpu")
LEARNING_RATE, DECAY = 0.1, 0.5


def plan(**changes: Any) -> TrainingPlan:
    return TrainingPlan(learning_rate=LEARNING_RATE, weight_decay=DECAY, **changes)


def moved(optimiser: str, weight: float, gradient: float) -> float:
    """One weight after one step."""
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(weight)
    model.weight.grad = torch.full((1, 1), gradient)
    make_optimiser(model, plan(optimiser=optimiser), CPU).step()
    return model.weight.item()


@pytest.mark.parametrize(("weight", "gradient"), [(2.0, 0.3), (2.0, -0.3), (-1.0, 4.0)])
def test_adamw_decays_weights_apart_from_the_gradient(weight: float, gradient: float) -> None:
    """Adam's first step is the learning rate in the gradient's direction, whatever its size."""
    direction = 1.0 if gradient > 0 else -1.0
    expected = weight * (1 - LEARNING_RATE * DECAY) - LEARNING_RATE * direction
    assert moved("adamw", weight, gradient) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("weight", "gradient", "direction"), [(2.0, 0.3, 1), (2.0, -0.3, 1), (2.0, -1.3, -1)])
def test_adam_adds_the_decay_to_the_gradient(weight: float, gradient: float, direction: int) -> None:
    assert moved("adam", weight, gradient) == pytest.approx(weight - LEARNING_RATE * direction, rel=1e-5)


@pytest.mark.parametrize("kind", ["adamw", "adam"])
def test_the_fused_kernel_takes_the_layout_of_the_weights_into_account(kind: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1))
    twin = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1))
    twin.load_state_dict(model.state_dict())
    place(model, CPU)
    fused = make_optimiser(model, plan(optimiser=kind), CPU)
    assert fused.defaults["fused"]
    reference = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[kind]
    plain = reference(twin.parameters(), lr=LEARNING_RATE, weight_decay=DECAY, foreach=False, fused=False)
    for _ in range(5):
        images = torch.randn(2, 3, 8, 8)
        for network, optimiser in ((model, fused), (twin, plain)):
            optimiser.zero_grad()
            network(images).pow(2).mean().backward()
            optimiser.step()
    for name, tensor in twin.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=1e-4, atol=1e-5)


def rates(patience: int | None, losses: list[float]) -> list[float]:
    """Learning rate after each epoch."""
    chosen = plan(plateau_patience_epochs=patience)
    optimiser = make_optimiser(nn.Linear(1, 1), chosen, CPU)
    schedule = make_schedule(optimiser, chosen)
    found = []
    for loss in losses:
        if schedule:
            schedule.step(loss)
        found.append(optimiser.param_groups[0]["lr"])
    return found


def test_the_rate_falls_to_a_tenth_after_a_plateau() -> None:
    losses = [1.0, 0.9, 0.95, 0.9, 0.91, 0.92, 0.93, 0.94]
    assert rates(2, losses) == pytest.approx([0.1] * 4 + [0.01] * 3 + [0.001])
    assert rates(0, losses[:4]) == pytest.approx([0.1, 0.1, 0.01, 0.001])


def test_any_lower_loss_ends_a_plateau() -> None:
    losses = [1.0 - 1e-6 * epoch for epoch in range(8)]
    assert rates(0, losses) == [0.1] * 8


def test_without_patience_the_rate_stays() -> None:
    assert rates(None, [1.0] * 30) == [0.1] * 30
