"""Where and how a network computes: device, memory layout, compilation, precision and determinism."""

import os
import random
from contextlib import AbstractContextManager, nullcontext
from typing import Literal
from weakref import WeakSet

import numpy as np
import torch
from torch import nn

from fpe_core.errors import TrainingError

# cuBLAS looks once, at a process's first product: by the time a plan asks for repeatable kernels it may be too late.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def choose_device(name: str) -> torch.device:
    """`auto` is the first GPU or else the CPU; a named GPU must exist, and becomes torch's current one.

    Raises:
        TrainingError: the named device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise TrainingError(
            f"device should be one of {torch.cuda.device_count()} GPUs or cpu, got {name}",
            hint="set trainer.device to auto or cpu in the site file",
        )
    if device.index is not None:
        # What is not told a device, such as pinning memory, would otherwise take some of the first GPU.
        torch.cuda.set_device(device)
    return device


def place(model: nn.Module, device: torch.device) -> nn.Module:
    """Move `model` to `device`, its convolutions' weights channels-last: the faster layout, on CPUs too.

    A network with grouped convolutions over volumes keeps torch's own layout: their kernels in the other take three
    times as long.

    Returns:
        `model` itself.
    """
    over_volumes = [module for module in model.modules() if isinstance(module, nn.Conv3d)]
    if all(module.groups == 1 for module in over_volumes):
        for convolution in over_volumes:
            convolution.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.to(device)


_compiled: WeakSet[nn.Module] = WeakSet()
_MOST_SHAPES = 64


def compile_once(model: nn.Module) -> None:
    """Let torch compile what calling `model` computes, for each shape of its input; weights and their names stay."""
    if model not in _compiled:
        import torch._dynamo

        # Training and evaluation, whole batches and remainders of each split: more shapes than the default allows.
        torch._dynamo.config.recompile_limit = _MOST_SHAPES
        model.compile(dynamic=False)
        _compiled.add(model)


def make_deterministic(seed: int, *, deterministic: bool) -> None:
    """Seed every generator and choose the kernels."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    choose_kernels(deterministic=deterministic)


def choose_kernels(*, deterministic: bool) -> None:
    """Allow kernels only that give the same bits each time, or else the fastest."""
    torch.use_deterministic_algorithms(deterministic)
    # Nothing here reads memory before it writes it, and filling it takes time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a class-level property
    torch.backends.cudnn.benchmark = not deterministic


Precision = Literal["auto", "float32", "bfloat16", "float16"]


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Mixed precision as `TrainingPlan.precision` describes it; float16 needs loss scaling beside it."""
    dtype = autocast_dtype(device, precision)
    return nullcontext() if dtype is torch.float32 else torch.autocast(device.type, dtype=dtype)


def autocast_dtype(device: torch.device, precision: Precision) -> torch.dtype:
    """The dtype that convolutions compute in."""
    if precision != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
    if device.type != "cuda":
        return torch.float32
    # Torch would call bfloat16 supported on older GPUs too, which emulate it slowly.
    return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16


def check_precision(model: nn.Module, device: torch.device, precision: Precision) -> None:
    """Refuse a precision that would train wrongly without a sign.

    Torch 2.13 leaves the weight gradients of 3×3×3 convolutions in bfloat16 unset on a CPU where the first axis has
    two voxels left, and crashes at other shapes.

    Raises:
        TrainingError: bfloat16 for a network over volumes on a CPU.
    """
    wrong = device.type == "cpu" and autocast_dtype(device, precision) is torch.bfloat16
    if wrong and any(isinstance(module, nn.Conv3d) for module in model.modules()):
        raise TrainingError(
            "a network over volumes should train in float32 on a CPU, where torch's bfloat16 gradients are wrong",
            hint="set training.precision to auto in the study plan",
        )
