"""What a long round writes down after each epoch, so that one that was killed goes on and ends with the same bits."""

import hashlib
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
from pydantic import ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from fpe_core.config.base import FrozenModel
from fpe_core.config.study import TrainingPlan
from fpe_core.data.dataset import CaseDataset
from fpe_core.models.state import read_state, write_state
from fpe_core.preprocessing.processed import write_private
from fpe_core.state import FlatState, Layout
from fpe_core.training.hardware import Hardware
from fpe_core.training.step import Stepper

log = logging.getLogger(__name__)

_METADATA_KEY = "round"
_SCHEDULE_FIELDS = ("best", "num_bad_epochs", "last_epoch", "cooldown_counter")
_DAMAGE = (SafetensorError, OSError, KeyError, TypeError, ValueError, ValidationError)


@dataclass
class History:
    """What a round has found so far.

    Attributes:
        best: weights of the epoch with the lowest validation loss; before the first epoch the received ones.
        best_loss: that loss.
        best_epoch: that epoch, from 0.
        epoch_losses: mean training loss per case, for each epoch done.
        training_s: wall time spent, in seconds.
    """

    best: FlatState
    best_loss: float = float("inf")
    best_epoch: int = 0
    epoch_losses: list[float] = field(default_factory=list)
    training_s: float = 0.0

    def is_over(self, plan: TrainingPlan) -> bool:
        """Whether all epochs are done or the plan's patience has ended."""
        num_epochs = len(self.epoch_losses)
        return num_epochs >= plan.local_epochs or num_epochs - 1 - self.best_epoch >= plan.patience_epochs


class Resumable(NamedTuple):
    """All that an epoch changes."""

    model: nn.Module
    stepper: Stepper
    schedule: ReduceLROnPlateau | None
    shuffle: torch.Generator


class _Metadata(FrozenModel):
    # A round of one epoch is not judged: its best loss stays infinite.
    model_config = ConfigDict(ser_json_inf_nan="constants")

    key: str
    finished: bool
    best_loss: float
    best_epoch: Annotated[int, Field(ge=0)]
    epoch_losses: Annotated[tuple[float, ...], Field(min_length=1)]
    training_s: float
    learning_rate: float
    micro_batch_size: int | None
    schedule: dict[str, int | float]
    loss_scale: dict[str, int | float]


class RoundCheckpoint:
    """One file, replaced after each epoch and closed to other users: safetensors, with JSON beside the tensors.

    Args:
        path: the file.
        key: `round_key` of the round that it belongs to.
        parts: of that round.
    """

    def __init__(self, path: Path, key: str, parts: Resumable) -> None:
        self.path = path
        self.key = key
        self.parts = parts

    def save(self, history: History, *, finished: bool) -> None:
        """Write everything that the next epoch depends on, or, of a finished round, what need not be trained again."""
        parts = self.parts
        tensors = {
            "model": torch.from_numpy(read_state(parts.model).values),
            "best": torch.from_numpy(history.best.values),
            "shuffle": parts.shuffle.get_state(),
            **_generator_states(parts.stepper.device),
            **_optimiser_tensors(parts.stepper.optimiser),
        }
        schedule = parts.schedule.state_dict() if parts.schedule else {}
        metadata = _Metadata(
            key=self.key,
            finished=finished,
            best_loss=history.best_loss,
            best_epoch=history.best_epoch,
            epoch_losses=tuple(history.epoch_losses),
            training_s=history.training_s,
            learning_rate=parts.stepper.optimiser.param_groups[0]["lr"],
            micro_batch_size=parts.stepper.micro_batches.size,
            schedule={name: schedule[name] for name in _SCHEDULE_FIELDS if schedule},
            loss_scale=parts.stepper.scaler.state_dict(),
        )
        write_private(self.path, safetensors_bytes(tensors, {_METADATA_KEY: metadata.model_dump_json()}))

    def resume(self, received: FlatState) -> History:
        """Bring the parts to where the file left them; a file that is damaged or of another round is left aside.

        Returns:
            What the round had found, or an empty history to begin with.
        """
        found = self._read()
        if found is None:
            return History(received)
        metadata, tensors = found
        _restore(self.parts, metadata, tensors, received.layout)
        log.info("the round goes on after epoch %d, from %s", len(metadata.epoch_losses), self.path)
        return History(
            FlatState(received.layout, tensors["best"].numpy()),
            metadata.best_loss,
            metadata.best_epoch,
            list(metadata.epoch_losses),
            metadata.training_s,
        )

    def _read(self) -> tuple[_Metadata, dict[str, Tensor]] | None:
        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                metadata = _Metadata.model_validate_json(file.metadata()[_METADATA_KEY])
                if metadata.key == self.key:
                    return metadata, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except _DAMAGE as error:
            log.warning("%s is damaged (%s): the round begins anew", self.path, type(error).__name__)
            return None
        if not metadata.finished:
            log.warning(
                "%s is of another plan, model, seed, device or of other cases: the round begins anew", self.path
            )
        return None


def round_key(
    received: FlatState,
    *,
    train: CaseDataset,
    validation: CaseDataset,
    plan: TrainingPlan,
    seed: int,
    hardware: Hardware,
) -> str:
    """sha256 over all that decides a round's result."""
    facts = {
        "plan": plan.model_dump(mode="json"),
        "seed": seed,
        "device": hardware.device.type,
        "layout": received.layout.fingerprint,
        "weights": hashlib.sha256(received.values.tobytes()).hexdigest(),
        "cases": [case_facts(cases) for cases in (train, validation)],
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def case_facts(cases: CaseDataset) -> list[object]:
    """What tells cases from others, as JSON: channels, and of each case file, size, time, label and columns; with
    regions their map and each case's occluded vessel."""
    stats = [case.file.stat() for case in cases.cases]
    facts = [
        (str(case.file), stat.st_size, stat.st_mtime_ns, case.label, case.tabular)
        for case, stat in zip(cases.cases, stats, strict=True)
    ]
    if cases.regions is None:
        return [cases.channels, facts]
    return [cases.channels, facts, cases.regions.fingerprint, [case.occlusion_site for case in cases.cases]]


def _restore(parts: Resumable, metadata: _Metadata, tensors: dict[str, Tensor], layout: Layout) -> None:
    write_state(parts.model, FlatState(layout, tensors["model"].numpy()))
    _restore_optimiser(parts.stepper.optimiser, tensors, metadata.learning_rate)
    parts.shuffle.set_state(tensors["shuffle"])
    torch.set_rng_state(tensors["generator/cpu"])
    if "generator/cuda" in tensors:
        torch.cuda.set_rng_state(tensors["generator/cuda"], parts.stepper.device)
    parts.stepper.micro_batches.size = metadata.micro_batch_size
    if metadata.loss_scale:
        parts.stepper.scaler.load_state_dict(metadata.loss_scale)
    if parts.schedule:
        parts.schedule.load_state_dict(dict(metadata.schedule))


def _generator_states(device: torch.device) -> dict[str, Tensor]:
    states = {"generator/cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["generator/cuda"] = torch.cuda.get_rng_state(device)
    return states


def _optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimiser.state_dict()["state"]
    return {
        f"optimiser/{number}/{name}": tensor.cpu().contiguous()
        for number, values in state.items()
        for name, tensor in values.items()
    }


def _restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], learning_rate: float) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    parameters = optimiser.param_groups[0]["params"]
    for path, tensor in tensors.items():
        kind, _, rest = path.partition("/")
        if kind == "optimiser":
            number, _, name = rest.partition("/")
            state.setdefault(int(number), {})[name] = _laid_out(tensor, parameters[int(number)])
    groups = optimiser.state_dict()["param_groups"]
    groups[0]["lr"] = learning_rate
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def _laid_out(tensor: Tensor, parameter: Tensor) -> Tensor:
    """The tensor in the parameter's memory layout: the fused kernels go through both in memory order, unchecked."""
    return torch.empty_like(parameter, device="cpu").copy_(tensor) if tensor.shape == parameter.shape else tensor
