"""One training step of the networks over slices: a plain rendition of the released step against ours.

    python benchmarks/train_step.py --out train_step.json

The reference is float32, a Python loop over the 25 slices, forward, backward and one AdamW step. Ours is what a site
runs: deterministic kernels unless said otherwise. Every way runs in a process of its own, on the same batch, which is
on the device already: bringing it there overlaps with the step before. Compare the ratios, not the times: these belong
to one machine.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from functools import partial
from pathlib import Path

import torch
from harness import in_own_process, machine, measure, print_for_parent, print_table
from torch import Tensor, nn

from fpe_core.config.pretraining import PretrainingPlan
from fpe_core.config.study import TrainingPlan
from fpe_core.data.dataset import Sample
from fpe_core.models import build_model
from fpe_core.models.mnt_dl_released import NUM_SLICES, MntDlReleased
from fpe_core.models.output import MntDlOutput
from fpe_core.models.simsiam import SimSiam
from fpe_core.training.collapse import CollapseMonitor
from fpe_core.training.device import Precision, choose_device, make_deterministic, place
from fpe_core.training.hardware import Hardware
from fpe_core.training.losses import outcome_loss
from fpe_core.training.optimise import make_optimiser
from fpe_core.training.pretraining import simsiam_stepper, two_views
from fpe_core.training.step import Stepper

Step = Callable[[], object]


class LoopedReleased(nn.Module):
    """The released network with its slices encoded one after the other, as the released code does."""

    def __init__(self, network: MntDlReleased) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> MntDlOutput:
        """`[B, C, Z, H, W]`, as `MntDlReleased.forward`."""
        encoded = torch.stack([self.network.encode(x[:, :, z]) for z in range(NUM_SLICES)], dim=1)
        return self.network.predict(encoded.flatten(0, 1))


def batch_of(options: argparse.Namespace) -> Sample:
    """Noise of the shape of a batch, with both labels, on the device."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(options.batch, 3, 26, options.size, options.size, generator=generator)
    labels = (torch.arange(options.batch) % 2).float()
    return Sample(images, labels, torch.empty(options.batch, 0)).to(choose_device(options.device))


def plain_loop(options: argparse.Namespace) -> Step:
    """The reference: nothing but what any PyTorch tutorial has."""
    batch = batch_of(options)
    torch.manual_seed(0)
    network = LoopedReleased(MntDlReleased(in_channels=3, base_width=options.base_width)).to(batch.image.device).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-4, weight_decay=0.05)

    def step() -> None:
        optimiser.zero_grad()
        loss = outcome_loss(network(batch.image), batch.label, subnet_weight=0.5, pos_weight=None)
        loss.backward()
        optimiser.step()

    return step


def ours(
    options: argparse.Namespace,
    *,
    name: str,
    precision: Precision,
    compiled: bool = False,
    deterministic: bool = True,
) -> Step:
    """The platform's own step on the network called `name`, in the layout and with the kernels that sites use."""
    batch = batch_of(options)
    make_deterministic(0, deterministic=deterministic)
    network = place(build_model(name, in_channels=3, base_width=options.base_width), batch.image.device).train()

    def objective(part: Sample) -> Tensor:
        return outcome_loss(network(part.image), part.label, subnet_weight=0.5, pos_weight=None)

    optimiser = make_optimiser(network, TrainingPlan(), batch.image.device)
    hardware = Hardware(batch.image.device, compile=compiled)
    stepper = Stepper(network, optimiser, objective, hardware=hardware, precision=precision)
    return partial(stepper.step, batch)


def self_supervised(options: argparse.Namespace, *, name: str, precision: Precision) -> Step:
    """SimSiam's own step, with its two views drawn and made each time."""
    batch = batch_of(options)
    make_deterministic(0, deterministic=True)
    plan = PretrainingPlan(precision=precision)
    encoder = build_model(name, in_channels=3, base_width=options.base_width)
    model = SimSiam(encoder).train()
    place(model, batch.image.device)
    stepper = simsiam_stepper(model, plan, CollapseMonitor(), Hardware(batch.image.device))
    generator = torch.Generator().manual_seed(0)
    return lambda: stepper.step(two_views(batch, plan, generator))


REFERENCE = "plain loop over slices, float32"
OURS = "ours: bfloat16, channels-last"
WAYS: dict[str, Callable[[argparse.Namespace], Step]] = {
    REFERENCE: plain_loop,
    "ours: float32, channels-last": partial(ours, name="mnt-dl-released", precision="float32"),
    OURS: partial(ours, name="mnt-dl-released", precision="bfloat16"),
    "ours: bfloat16, channels-last, any kernels": partial(
        ours, name="mnt-dl-released", precision="bfloat16", deterministic=False
    ),
    "ours: bfloat16, channels-last, compiled": partial(
        ours, name="mnt-dl-released", precision="bfloat16", compiled=True
    ),
    "ours: bfloat16, channels-last, compiled, any kernels": partial(
        ours, name="mnt-dl-released", precision="bfloat16", compiled=True, deterministic=False
    ),
    "SimSiam, two views: bfloat16, channels-last": partial(
        self_supervised, name="mnt-dl-released", precision="bfloat16"
    ),
    "mnt-dl: bfloat16, channels-last": partial(ours, name="mnt-dl", precision="bfloat16"),
    "scanet: bfloat16, channels-last": partial(ours, name="scanet", precision="bfloat16"),
}


def main() -> None:
    """Measure on the first GPU, or on the CPU where there is none."""
    options = parsed()
    device = choose_device(options.device)
    if options.only:
        print_for_parent(measure(lambda: WAYS[options.only](options), device, repeats=options.repeats))
        return
    arguments = [f"--{key}={getattr(options, key.replace('-', '_'))}" for key in PASSED_ON]
    measured = {
        way: in_own_process(__file__, way, arguments) for way in WAYS if options.compiled or "compiled" not in way
    }
    print_table(measured, reference=REFERENCE)
    shape = [options.batch, 3, 26, options.size, options.size]
    result = {
        "date": date.today().isoformat(),
        **machine(device),
        "batch_shape": shape,
        "base_width": options.base_width,
        "repeats": options.repeats,
        "ways": {way: asdict(one) for way, one in measured.items()},
        "times_faster_than_loop": measured[REFERENCE].step_s / measured[OURS].step_s,
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    print(f"{result['device']}, {result['threads']} threads, batch {shape}; numbers in {options.out}")


PASSED_ON = ("batch", "size", "base-width", "repeats", "device")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    on_gpu = torch.cuda.is_available()
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--batch", type=int, default=12 if on_gpu else 2, help="cases in a batch")
    parser.add_argument(
        "--size", type=int, default=224 if on_gpu else 112, help="height and width of a slice in pixels"
    )
    parser.add_argument("--base-width", type=int, default=64, help="channels of the first stage")
    parser.add_argument("--repeats", type=int, default=20 if on_gpu else 5, help="steps measured for each way")
    parser.add_argument("--compiled", action="store_true", default=on_gpu, help="also let torch compile the network")
    parser.add_argument("--out", type=Path, default=Path("train_step.json"), help="file for the numbers")
    parser.add_argument("--only", choices=sorted(WAYS), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
