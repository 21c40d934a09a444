"""Choice of device, seeds, and autocast only where it is wanted."""

import random
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from fpe_core.errors import TrainingError
from fpe_core.training.device import autocast, check_precision, choose_device, compile_once, make_deterministic, place

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


def test_weights_of_convolutions_are_laid_out_channels_last() -> None:
    flat, deep = nn.Conv2d(4, 6, 3), nn.Conv3d(4, 6, 3)
    model = nn.ModuleList([flat, deep, nn.Linear(3, 2)])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert place(model, CPU) is model
    assert flat.weight.is_contiguous(memory_format=torch.channels_last)
    assert deep.weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert not flat.weight.is_contiguous()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_network_with_grouped_convolutions_over_volumes_keeps_its_layout() -> None:
    grouped, plain = nn.Conv3d(4, 4, 3, groups=4), nn.Conv3d(4, 6, 3)
    place(nn.ModuleList([grouped, plain]), CPU)
    assert grouped.weight.is_contiguous()
    assert plain.weight.is_contiguous()


def test_half_precision_over_volumes_is_refused_on_a_cpu() -> None:
    """A plain 3×3×3 convolution shows why: its weight gradient is off by more than its own size, or not a number."""
    model = nn.Conv3d(8, 8, 3)
    with pytest.raises(TrainingError, match="float32 on a CPU, where torch's bfloat16 gradients are wrong") as caught:
        check_precision(model, CPU, "bfloat16")
    assert "training.precision" in caught.value.hint
    check_precision(model, CPU, "auto")
    check_precision(nn.Conv2d(8, 8, 3), CPU, "bfloat16")
    check_precision(model, torch.device("cuda"), "bfloat16")


# torch 2.13 imports a part of its own that it has deprecated.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("c++") is None, reason="no C++ compiler")
def test_a_compiled_network_computes_with_the_same_weights() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    names = list(model.state_dict())
    x = torch.randn(3, 4)
    expected = model(x).detach()
    compile_once(model)
    compiled = model._compiled_call_impl
    compile_once(model)
    assert compiled is not None
    assert model._compiled_call_impl is compiled
    torch.testing.assert_close(model(x), expected)
    with torch.no_grad():
        model[2].weight.mul_(2)
        model[2].bias.mul_(2)
    torch.testing.assert_close(model(x), 2 * expected)
    assert list(model.state_dict()) == names


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_a_cpu_computes_in_float32(precision: str) -> None:
    with autocast(CPU, precision):  # type: ignore[arg-type]
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
