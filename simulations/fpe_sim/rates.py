"""How long the steps of a run take and how much they leave on disk: for estimates before a run.

The rates in `rates.json` were measured by `benchmarks/simulation_rates.py` on one thread of one machine, which the file
names. Another machine's differ: an estimate is good to a factor of two or so. For GPUs nothing has been measured, so
times there are NaN, which `fpe-sim run --dry-run` shows as "not measured"; a sum with NaN in it is NaN.

All functions take counts over everything that is to be done. They divide by `jobs`, so give no more jobs than there are
tasks side by side: `min(jobs, number of folds)` for a handful of folds, 1 for a single pre-training.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import TypeAdapter

from fpe_core.config.base import FrozenModel
from fpe_core.config.recipe import recipe_named
from fpe_core.config.study import ModelName, ModelPlan

Modality = Literal["mr", "ct"]
Size = Literal["small", "full"]
NOT_MEASURED = float("nan")
_BYTES_PER_VOXEL = 4


class Rates(FrozenModel):
    """What was measured: seconds on one thread, and bytes."""

    measured_on: dict[str, str]
    """Machine, date, versions, and how busy the machine was."""
    phantom_s: dict[Modality, float]
    """Making one phantom."""
    phantom_bytes: dict[Modality, int]
    """Scans of one phantom."""
    preprocess_s: dict[str, float]
    """Preprocessing one case, by recipe."""
    training_s: dict[ModelName, dict[Size, float]]
    """One training case in one epoch; its share of the validation after the epoch is in it."""
    pretraining_s: dict[ModelName, dict[Size, float]]
    """One scan in one epoch of SimSiam."""
    weights_bytes: dict[ModelName, dict[Size, int]]
    """Weights of one fold."""


@cache
def rates() -> Rates:
    """The rates that come with the software."""
    return TypeAdapter(Rates).validate_python(json.loads((files("fpe_sim") / "rates.json").read_text()))


def phantom_seconds(modality: Modality, cases: int, jobs: int) -> float:
    """Seconds to make `cases` phantoms, `jobs` at a time."""
    return rates().phantom_s[modality] * cases / jobs


def preprocessing_seconds(recipe: str, cases: int, jobs: int) -> float:
    """Seconds to preprocess `cases`, `jobs` at a time; NaN for a recipe that was not measured."""
    return rates().preprocess_s.get(recipe, NOT_MEASURED) * cases / jobs


def training_seconds(model: ModelPlan, recipe: str, cases: int, epochs: int, jobs: int, device: str) -> float:
    """Seconds to train networks, validation and final tests included.

    Args:
        model: the network. Measured are the published width on the published grids and width 16 on the small ones.
        recipe: name of the preprocessing recipe, which gives the grid.
        cases: training cases of one epoch, summed over all folds: for K folds of N development cases (K - 1) · N.
        epochs: of each fold; early stopping may end sooner.
        jobs: folds trained side by side.
        device: auto, cpu or cuda, as in `RunContext`.

    Returns:
        NaN on a GPU, and for a network on a grid where nothing was measured.
    """
    return _seconds(rates().training_s, model, recipe, cases * epochs, jobs, device)


def pretraining_seconds(model: ModelPlan, recipe: str, scans: int, epochs: int, jobs: int, device: str) -> float:
    """Seconds to pre-train with SimSiam; `scans` of one epoch, the rest as for `training_seconds`."""
    return _seconds(rates().pretraining_s, model, recipe, scans * epochs, jobs, device)


def _seconds(
    table: dict[ModelName, dict[Size, float]], model: ModelPlan, recipe: str, steps: int, jobs: int, device: str
) -> float:
    if _is_gpu(device):
        return NOT_MEASURED
    return table.get(model.name, {}).get(_size(recipe), NOT_MEASURED) * steps / jobs


def phantom_bytes(modality: Modality, cases: int) -> int:
    """Bytes that the scans of `cases` phantoms take."""
    return rates().phantom_bytes[modality] * cases


def preprocessed_bytes(recipe: str, cases: int) -> int:
    """Bytes that `cases` preprocessed cases take: their volumes in float32, and a mask."""
    made = recipe_named(recipe)
    depth, height, width = made.grid.shape_zyx
    return cases * depth * height * width * (_BYTES_PER_VOXEL * len(made.sequences) + 1)


def weights_bytes(model: ModelPlan, recipe: str, num_trainings: int) -> int:
    """Bytes that the weights of `num_trainings` finished folds take; 0 where nothing was measured."""
    return rates().weights_bytes.get(model.name, {}).get(_size(recipe), 0) * num_trainings


def _size(recipe: str) -> Size:
    return "small" if recipe.endswith("-small") else "full"


def _is_gpu(device: str) -> bool:
    if device == "auto":
        from fpe_core.training.device import choose_device

        return choose_device(device).type == "cuda"
    return device.startswith("cuda")
