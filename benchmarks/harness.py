"""Times each way of doing the same work in a process of its own, so that its peak memory is its own too."""

import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Measured:
    """One way: median wall time of a step in seconds, and the largest memory that its steps took in MiB."""

    step_s: float
    peak_mib: float


def measure(prepare: Callable[[], Callable[[], object]], device: torch.device, *, repeats: int) -> Measured:
    """Median time of `repeats` calls of the step that `prepare` gives, after two that are not counted.

    The memory is that of the device's tensors on a GPU, weights included. On a CPU it is what the process took at most
    beyond what it had before `prepare`.
    """
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step = prepare()
    times = []
    for call in range(repeats + 2):
        if call == 2 and device.type == "cuda":
            # What trying out kernels took is no part of a step.
            torch.cuda.reset_peak_memory_stats(device)
        started = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    if device.type == "cuda":
        return Measured(statistics.median(times[2:]), torch.cuda.max_memory_allocated(device) / 2**20)
    return Measured(
        statistics.median(times[2:]), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) / 1024
    )


def in_own_process(script: str, way: str, arguments: list[str]) -> Measured:
    """What `script --only WAY` with the same arguments measures and prints as JSON."""
    done = subprocess.run(
        [sys.executable, script, *arguments, "--only", way], stdout=subprocess.PIPE, text=True, check=True
    )
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def print_for_parent(measured: Measured) -> None:
    """The line that `in_own_process` reads."""
    print(json.dumps(asdict(measured)))


def machine(device: torch.device) -> dict[str, str | int]:
    """What the numbers belong to."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()
    return {"device": name, "torch": torch.__version__, "threads": torch.get_num_threads()}


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def print_table(measured: dict[str, Measured], *, reference: str) -> None:
    """A line for each way, with its ratios to `reference`."""
    base = measured[reference]
    print(f"{'way':52s} {'step':>10s} {'faster':>8s} {'peak':>10s} {'of it':>7s}")
    for way, one in measured.items():
        print(
            f"{way:52s} {one.step_s * 1000:7.1f} ms {base.step_s / one.step_s:6.2f} x"
            f" {one.peak_mib:6.0f} MiB {one.peak_mib / base.peak_mib:6.2f}"
        )
