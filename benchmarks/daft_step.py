"""One training step of the networks over volumes: plain MONAI in float32 against ours.

    python benchmarks/daft_step.py --json daft_step.json

A step is forward, backward and AdamW on a batch of one. The reference is MONAI's network as it comes; ours is the
platform's own step with DAFT on 18 clinical columns, in bfloat16 on a GPU and float32 on a CPU, without and with
recomputation of what is cheap. Every way runs in a process of its own, on the same image. Compare the ratios, not the
times: these belong to one machine.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from functools import partial
from pathlib import Path

import torch
from harness import Measured, in_own_process, machine, measure, print_for_parent, print_table
from monai.networks.nets.densenet import DenseNet169
from monai.networks.nets.efficientnet import EfficientNetBN
from torch import Tensor, nn

from fpe_core.data.dataset import Sample
from fpe_core.models import build_model
from fpe_core.models.encoders3d import ConditionedEncoder
from fpe_core.training.device import Precision, choose_device, make_deterministic, place
from fpe_core.training.hardware import Hardware
from fpe_core.training.losses import outcome_loss
from fpe_core.training.step import Stepper

Step = Callable[[], None]
NUM_CHANNELS, NUM_COLUMNS = 2, 18


def batch_of(options: argparse.Namespace) -> Sample:
    """Noise of the shape of one case of NCCT and CTA with its clinical columns, on the device."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, NUM_CHANNELS, *options.size, generator=generator)
    tabular = torch.rand(1, NUM_COLUMNS, generator=generator)
    return Sample(image, torch.ones(1), tabular).to(choose_device(options.device))


def plain_monai(options: argparse.Namespace, *, network: Callable[[], nn.Module]) -> Step:
    """The reference: nothing but what any PyTorch tutorial has."""
    batch = batch_of(options)
    torch.manual_seed(0)
    model = network().to(batch.image.device).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        optimiser.zero_grad()
        logits = model(batch.image)[:, 0]
        nn.functional.binary_cross_entropy_with_logits(logits, batch.label).backward()
        optimiser.step()

    return step


def ours(options: argparse.Namespace, *, name: str, recomputed: bool) -> Step:
    """The platform's own step on the network called `name`, in the layout that sites use."""
    batch = batch_of(options)
    make_deterministic(0, deterministic=True)
    model = build_model(name, in_channels=NUM_CHANNELS, daft=True, num_tabular=NUM_COLUMNS)
    place(model, batch.image.device).train()
    if isinstance(model, ConditionedEncoder) and not recomputed:
        model.num_recomputed_stages = 0

    def objective(part: Sample) -> Tensor:
        return outcome_loss(model(part.image, part.tabular), part.label, subnet_weight=0.5, pos_weight=None)

    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    # On a CPU the platform refuses half precision for these networks.
    precision: Precision = "bfloat16" if batch.image.is_cuda else "float32"
    stepper = Stepper(model, optimiser, objective, hardware=Hardware(batch.image.device), precision=precision)

    def step() -> None:
        stepper.step(batch)

    return step


MONAI: dict[str, Callable[[], nn.Module]] = {
    "densenet169": lambda: DenseNet169(spatial_dims=3, in_channels=NUM_CHANNELS, out_channels=1),
    "efficientnet-b0": lambda: EfficientNetBN(
        "efficientnet-b0", pretrained=False, spatial_dims=3, in_channels=NUM_CHANNELS, num_classes=1
    ),
}


def ways_of(name: str) -> dict[str, Callable[[argparse.Namespace], Step]]:
    """What is compared for one network; the first is the reference."""
    return {
        f"{name}: MONAI, float32": partial(plain_monai, network=MONAI[name]),
        f"{name}: ours": partial(ours, name=name, recomputed=False),
        f"{name}: ours, recomputed": partial(ours, name=name, recomputed=True),
    }


def size_of(text: str) -> tuple[int, ...]:
    """`246x295x258` as three numbers of voxels; smaller ones leave batch normalisation a single voxel."""
    size = tuple(int(side) for side in text.split("x"))
    if len(size) != 3 or min(size) < 64:
        raise argparse.ArgumentTypeError(f"size should be three sides of at least 64 voxels, got {text}")
    return size


def options_of_command() -> argparse.Namespace:
    """The paper's grid on a GPU; something a CPU can do elsewhere."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    on_gpu = torch.cuda.is_available()
    default = (246, 295, 258) if on_gpu else (96, 112, 96)
    parser.add_argument("--size", type=size_of, default=default, help="voxels along each axis, as 246x295x258")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    parser.add_argument("--steps", type=int, default=10 if on_gpu else 3, help="steps measured, after two that are not")
    parser.add_argument("--json", type=Path, default=Path("daft_step.json"), help="file for the numbers")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    return parser.parse_args()


def compared(one: Measured, reference: Measured) -> dict[str, float]:
    """The numbers of one way and their ratios to the reference's."""
    return {
        **asdict(one),
        "times_faster": reference.step_s / one.step_s,
        "share_of_memory": one.peak_mib / reference.peak_mib,
    }


def main() -> None:
    """Measure each way in its own process; print and write the numbers."""
    options = options_of_command()
    device = choose_device(options.device)
    if options.only:
        way = ways_of(options.only.partition(":")[0])[options.only]
        print_for_parent(measure(partial(way, options), device, repeats=options.steps))
        return
    size = "x".join(map(str, options.size))
    arguments = ["--size", size, "--device", options.device, "--steps", str(options.steps)]
    result: dict[str, object] = {
        "date": date.today().isoformat(),
        **machine(device),
        "batch_shape": [1, NUM_CHANNELS, *options.size],
    }
    for name in MONAI:
        measured = {way: in_own_process(__file__, way, arguments) for way in ways_of(name)}
        reference = measured[next(iter(measured))]
        print_table(measured, reference=next(iter(measured)))
        result[name] = {way: compared(one, reference) for way, one in measured.items()}
    options.json.write_text(json.dumps(result, indent=2) + "\n")
    print(f"{result['device']}, {result['threads']} threads, {size} voxels; numbers in {options.json}")


if __name__ == "__main__":
    main()
