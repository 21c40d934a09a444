"""Choice of device, seeds, and autocast only where it is wanted."""

import random

import numpy as np
import pytest
import torch

from fpe_core.errors import TrainingError
from fpe_core.training.device import autocast, choose_device, make_deterministic

CPU = torch.device("cpu")


def test_auto_takes_the_gpu_or_else_the_cpu() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == CPU


def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(TrainingError, match="cuda:99") as caught:
        choose_device("cuda:99")
    assert "trainer.device" in caught.value.hint


def test_one_seed_decides_every_generator() -> None:
    def draws(seed: int) -> tuple[float, float, float]:
        make_deterministic(seed, deterministic=True)
        return random.random(), float(np.random.random()), float(torch.rand(()))  # noqa: S311 - not a secret

    first = draws(2**62 + 5)
    assert draws(2**62 + 5) == first
    assert not set(draws(2**62 + 6)) & set(first)


def test_nondeterministic_kernels_are_refused_only_when_asked() -> None:
    make_deterministic(1, deterministic=True)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark
    make_deterministic(1, deterministic=False)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_a_cpu_computes_in_float32(precision: str) -> None:
    with autocast(CPU, precision):  # type: ignore[arg-type]
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
