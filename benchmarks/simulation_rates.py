"""What each step of a simulated protocol costs on one thread: the rates behind `fpe-sim run --dry-run`.

    OMP_NUM_THREADS=1 python benchmarks/simulation_rates.py --out simulations/fpe_sim/rates.json

Measures seconds per phantom, per preprocessed case of each recipe, per training case and epoch of each network on the
small and the full grid, and per scan and epoch of SimSiam. A part that is left out by --only keeps what the file has.
Trainings are those of the platform on noise of the recipe's shape: times do not depend on what the voxels show. Seconds
are of the processor, which other work on the machine disturbs less than the clock on the wall.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import machine

from fpe_core.config.pretraining import PretrainingPlan
from fpe_core.config.recipe import PreprocessingRecipe, recipe_named
from fpe_core.config.study import SLICE_MODELS, ModelPlan, StudyPlan, TrainingPlan
from fpe_core.data.dataset import CaseDataset, LabelledCase
from fpe_core.data.phantoms.generate import generate_site
from fpe_core.data.phantoms.spec import PhantomSite
from fpe_core.models.planned import initial_state, planned_model
from fpe_core.models.simsiam import SimSiam
from fpe_core.models.state import read_state
from fpe_core.preprocessing.case import CaseFiles, preprocess_case
from fpe_core.preprocessing.processed import ProcessedCase, Provenance
from fpe_core.training.hardware import Hardware
from fpe_core.training.local_round import train_round
from fpe_core.training.pretraining import pretrain_round

RECIPES = ("mnt-dl-mr-small", "mnt-dl-ct-small", "daft-ct-small", "mnt-dl-mr", "mnt-dl-ct", "daft-ct")
NETWORKS = ("mnt-dl", "mnt-dl-released", "scanet", "resnet34", "densenet169", "efficientnet-b0")
CPU = Hardware(torch.device("cpu"))
PARTS = ("phantoms", "preprocessing", "training", "pretraining")


def phantoms(folder: Path, cases: int) -> dict[str, dict[str, float]]:
    """Seconds and bytes per phantom of each modality; the scans stay in `folder` for the preprocessing."""
    seconds, size = {}, {}
    for modality in ("mr", "ct"):
        spec = PhantomSite(name=modality, num_cases=max(12, cases), modality=modality, task="fpe")
        made: list[float] = []
        at = folder / modality

        def enough(_done: int, _total: int, made: list[float] = made) -> None:
            made.append(time.process_time())
            if len(made) > cases:
                raise StopIteration

        with suppress(StopIteration):
            generate_site(at, spec, seed=1, progress=enough)
        # The first case also pays for the templates.
        seconds[modality] = (made[-1] - made[0]) / (len(made) - 1)
        scans = list((at / "scans").glob("*.nii.gz"))
        size[modality] = sum(path.stat().st_size for path in scans) // len(made)
        print(f"phantom {modality}: {seconds[modality]:.2f} s, {size[modality] / 1e6:.1f} MB", flush=True)
    return {"phantom_s": seconds, "phantom_bytes": size}


def preprocessing(folder: Path, cases: int) -> dict[str, dict[str, float]]:
    """Seconds per case of each recipe."""
    seconds = {}
    for name in RECIPES:
        recipe = recipe_named(name)
        files = _case_files(folder / recipe.modality / "scans", recipe)[: 2 if name == "daft-ct" else cases]
        begun = time.process_time()
        for one in files:
            preprocess_case(one, recipe)
        seconds[name] = (time.process_time() - begun) / len(files)
        print(f"{name}: {seconds[name]:.2f} s a case", flush=True)
    return {"preprocess_s": seconds}


def _case_files(scans: Path, recipe: PreprocessingRecipe) -> list[CaseFiles]:
    names = [name for name in recipe.sequences if name != "vessels"]
    ids = sorted(path.name.removesuffix(f"_{names[0]}.nii.gz") for path in scans.glob(f"*_{names[0]}.nii.gz"))
    return [CaseFiles(case, {name: scans / f"{case}_{name}.nii.gz" for name in names}) for case in ids]


def training(folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Seconds per training case and epoch, and bytes of the weights, of each network."""
    seconds: dict[str, dict[str, float]] = {}
    size: dict[str, dict[str, float]] = {}
    for network, name in _networks():
        plan = _plan(network, name)
        many = 8 if name == "small" else 4 if network in SLICE_MODELS else 2
        one = partial(_train, plan, _noise(folder, plan, many), _noise(folder, plan, many // 4))
        # An epoch over the largest volumes takes minutes: beside it the first one's start is nothing.
        per_epoch = one(1) if many == 2 else _per_epoch(one)
        seconds.setdefault(network, {})[name] = per_epoch / many
        size.setdefault(network, {})[name] = initial_state(plan).values.nbytes
        print(f"{network} {name}: {seconds[network][name]:.3f} s per training case and epoch", flush=True)
    return {"training_s": seconds, "weights_bytes": size}


def _train(plan: StudyPlan, train: CaseDataset, validation: CaseDataset, epochs: int) -> float:
    model, start = planned_model(plan), initial_state(plan)
    longer = plan.training.model_copy(update={"local_epochs": epochs, "patience_epochs": epochs})
    begun = time.process_time()
    train_round(model, start, train=train, validation=validation, plan=longer, seed=1, hardware=CPU)
    return time.process_time() - begun


def pretraining(folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Seconds per scan and epoch of SimSiam around the networks over slices."""
    seconds: dict[str, dict[str, float]] = {}
    for network, name in _networks():
        if network in SLICE_MODELS:
            plan = _plan(network, name)
            one = partial(_pretrain, plan, _noise(folder, plan, 4))
            seconds.setdefault(network, {})[name] = _per_epoch(one) / 4
            print(f"SimSiam {network} {name}: {seconds[network][name]:.3f} s per scan and epoch", flush=True)
    return {"pretraining_s": seconds}


def _pretrain(plan: StudyPlan, unlabelled: CaseDataset, epochs: int) -> float:
    model = SimSiam(planned_model(plan))
    settings = PretrainingPlan(local_epochs=epochs, batch_size=4)
    begun = time.process_time()
    pretrain_round(model, read_state(model), unlabelled=unlabelled, plan=settings, seed=1, hardware=CPU)
    return time.process_time() - begun


def _networks() -> Iterator[tuple[str, str]]:
    for name in ("small", "full"):
        for network in NETWORKS:
            yield network, name


def _plan(network: str, name: str) -> StudyPlan:
    over_slices = network in SLICE_MODELS
    recipe = ("mnt-dl-mr" if over_slices else "daft-ct") + ("-small" if name == "small" else "")
    sequences = ("dwi", "flair", "adc") if over_slices else ("ncct", "cta")
    clinical = () if over_slices else ("age_years", "nihss")
    width = 16 if name == "small" else 64
    return StudyPlan(
        name="rates", task="fpe", seed=1, recipe=recipe,
        model=ModelPlan.model_validate(
            {"name": network, "sequences": sequences, "clinical": clinical, "base_width": width}
        ),
        training=TrainingPlan(batch_size=4 if over_slices else 1),
    )  # fmt: skip


def _noise(folder: Path, plan: StudyPlan, number: int) -> CaseDataset:
    """Cases of the recipe's shape, half of them positive, two at least."""
    recipe, rng = recipe_named(plan.recipe), np.random.default_rng(1)
    cases = []
    for i in range(max(number, 2)):
        path = folder / f"noise-{plan.recipe}-{i}.safetensors"
        if not path.exists():
            shape = recipe.grid.shape_zyx
            volumes = {name: rng.standard_normal(shape, dtype=np.float32) for name in recipe.sequences}
            nothing = Provenance(
                recipe=recipe.name, recipe_fingerprint="0" * 64, inputs={}, versions={}, history=(), qc={}
            )
            ProcessedCase(volumes, np.ones(shape, np.uint8), np.eye(4), {}, nothing).save(path)
        cases.append(LabelledCase(path, i % 2, tuple(0.5 for _ in plan.model.clinical)))
    return CaseDataset(cases, plan.model.channels)


def _per_epoch(one: Callable[[int], float]) -> float:
    """Seconds that an epoch takes beyond the first, after a call that is not counted."""
    one(1)
    first = one(1)
    return (one(3) - first) / 2


def main() -> None:
    """Measure the parts that were asked for and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=6, help="phantoms, and cases preprocessed")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--note", default="idle", help="how busy the machine was")
    parser.add_argument("--out", type=Path, default=Path("rates.json"))
    options = parser.parse_args()
    if torch.get_num_threads() != 1 or os.environ.get("OMP_NUM_THREADS") != "1":
        parser.error("set OMP_NUM_THREADS=1: the rates are those of one thread")
    found: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    found["measured_on"] = {
        **{name: str(value) for name, value in machine(torch.device("cpu")).items()},
        "date": date.today().isoformat(),
        "load": options.note,
    }
    with tempfile.TemporaryDirectory() as folder:
        for part in options.only:
            work = {
                "phantoms": lambda: phantoms(Path(folder), options.cases),
                "preprocessing": lambda: preprocessing(Path(folder), options.cases),
                "training": lambda: training(Path(folder)),
                "pretraining": lambda: pretraining(Path(folder)),
            }[part]
            found |= work()
            options.out.write_text(json.dumps(_rounded(found), indent=1) + "\n")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
