"""Forward and backward of MNT-DL: a loop over slices against one folded pass, and what layout and bfloat16 add.

    python benchmarks/folded_forward.py --out folded_forward.json

Compare the ratios, not the seconds: these belong to one machine.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from fpe_core.models.mnt_dl_released import NUM_SLICES, MntDlReleased
from fpe_core.models.output import MntDlOutput
from fpe_core.training.losses import outcome_loss


class LoopedEncoder(nn.Module):
    """The same network with its slices encoded one after the other, as the released code does."""

    def __init__(self, network: MntDlReleased) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> MntDlOutput:
        """`[B, C, Z, H, W]`, as `MntDlReleased.forward`."""
        encoded = torch.stack([self.network.encode(x[:, :, z]) for z in range(NUM_SLICES)], dim=1)
        return self.network.predict(encoded.flatten(0, 1))


def seconds_per_step(step: Callable[[], None], device: torch.device, *, repeats: int) -> float:
    """Median wall time of one call in seconds, after two calls that are not counted."""
    times = []
    for _ in range(repeats + 2):
        started = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times[2:])


def training_step(network: nn.Module, x: Tensor, *, bfloat16: bool) -> Callable[[], None]:
    """Forward, loss and backward on the batch `x`; gradients are dropped each time."""
    target = (torch.arange(len(x), device=x.device) % 2).float()

    def precision() -> AbstractContextManager[object]:
        return torch.autocast(x.device.type, dtype=torch.bfloat16) if bfloat16 else nullcontext()

    def step() -> None:
        network.zero_grad(set_to_none=True)
        with precision():
            output = network(x)
        outcome_loss(output, target, subnet_weight=0.5, pos_weight=None).backward()

    return step


def measure(options: argparse.Namespace, device: torch.device) -> dict[str, float]:
    """Seconds per step of each way, on the same weights and batch."""
    torch.manual_seed(0)
    network = MntDlReleased(in_channels=3, base_width=options.base_width).to(device).train()
    x = torch.randn(options.batch, 3, 26, options.size, options.size, device=device)
    timed = {}

    def run(name: str, module: nn.Module, *, bfloat16: bool = False) -> None:
        timed[name] = seconds_per_step(training_step(module, x, bfloat16=bfloat16), device, repeats=options.repeats)

    run("loop over slices, float32", LoopedEncoder(network))
    run("folded, float32", network)
    network.to(memory_format=torch.channels_last)
    run("folded, float32, channels-last", network)
    run("folded, bfloat16 autocast, channels-last", network, bfloat16=True)
    network.to(memory_format=torch.contiguous_format)
    run("folded, bfloat16 autocast", network, bfloat16=True)
    return timed


def main() -> None:
    """Measure on the first GPU, or on the CPU where there is none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=2, help="cases in a batch")
    parser.add_argument("--size", type=int, default=112, help="height and width of a slice in pixels")
    parser.add_argument("--base-width", type=int, default=64, help="channels of the first stage")
    parser.add_argument("--repeats", type=int, default=5, help="steps measured for each way")
    parser.add_argument("--out", type=Path, default=Path("folded_forward.json"), help="file for the numbers")
    options = parser.parse_args()

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    timed = measure(options, device)
    slowest = timed["loop over slices, float32"]
    result = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "cpu",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "batch_shape": [options.batch, 3, 26, options.size, options.size],
        "base_width": options.base_width,
        "repeats": options.repeats,
        "ways": {name: {"seconds": s, "times_faster_than_loop": slowest / s} for name, s in timed.items()},
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    for name, seconds in timed.items():
        print(f"{name:44s} {seconds:8.3f} s  {slowest / seconds:6.2f} x")
    print(f"{result['device']}, {result['threads']} threads; numbers in {options.out}")


if __name__ == "__main__":
    main()
