"""Self-supervised pre-training whose weights stay on disk: a run that was cut off loses at most one round of epochs."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fpe_core.config.base import FrozenModel
from fpe_core.config.pretraining import PretrainingPlan
from fpe_core.config.study import StudyPlan
from fpe_core.data.dataset import CaseDataset
from fpe_core.errors import CheckpointUnreadable
from fpe_core.models.planned import initial_state, planned_model
from fpe_core.models.simsiam import SimSiam
from fpe_core.models.state import layout_of, read_state, write_state
from fpe_core.models.transfer import transfer_encoder
from fpe_core.preprocessing.processed import write_private
from fpe_core.seeds import derive_seed
from fpe_core.state import FlatState, Layout
from fpe_core.training.device import choose_device, place
from fpe_core.training.hardware import Hardware, default_workers
from fpe_core.training.pretraining import pretrain_round
from fpe_core.training.round_checkpoint import case_facts

_WEIGHTS = "weights"


@dataclass(frozen=True, eq=False)
class Pretraining:
    """SimSiam on scans without labels, in rounds of `plan.local_epochs` epochs.

    Each round begins with a fresh optimiser, as in a federation, and leaves its weights on disk.

    Attributes:
        study: the network, its first weights and the seed.
        plan: of one round.
        num_rounds: rounds, one after another.
        scans: what is trained on; labels are not looked at.
    """

    study: StudyPlan
    plan: PretrainingPlan
    num_rounds: int
    scans: CaseDataset


class PretrainingHistory(FrozenModel):
    """How the epochs went; see `PretrainingOutcome`."""

    epoch_losses: tuple[float, ...] = ()
    """Mean loss per scan, in [-1, 1]."""
    epoch_spreads: tuple[float, ...] = ()
    """Spread of the projections."""
    epoch_ranks: tuple[float, ...] = ()
    """Effective rank of the projections."""
    collapsed: bool = False
    """Whether the last epoch's projections were all alike."""


@dataclass(frozen=True, eq=False)
class Pretrained:
    """What a pre-training gives.

    Attributes:
        weights: of the whole `SimSiam`.
        num_rounds: finished rounds.
        history: of all epochs.
    """

    weights: FlatState
    num_rounds: int
    history: PretrainingHistory

    def start(self, study: StudyPlan) -> FlatState:
        """The study's first weights, its encoder replaced by the pre-trained one; heads are the study's own."""
        model = planned_model(study)
        write_state(model, initial_state(study))
        transfer_encoder(self.weights, model)
        return read_state(model)


class _Facts(FrozenModel):
    key: str
    num_rounds: int
    history: PretrainingHistory


def pretrain(pretraining: Pretraining, path: Path, device: str) -> None:
    """Pre-train what is still to do; `path` has the weights after every round. For `run_tasks`.

    Args:
        pretraining: what to do.
        path: a safetensors file; goes on from it where it is of this pre-training.
        device: auto, cpu or cuda.

    Raises:
        CheckpointUnreadable: `path` is of another pre-training, or damaged.
        NotEnoughCases: fewer than two scans.
    """
    on = choose_device(device)
    hardware = Hardware(on, num_workers=default_workers(on))
    model = _network(pretraining)
    begun = load_pretrained(pretraining, path)
    weights, done, history = (
        (begun.weights, begun.num_rounds, begun.history) if begun else (read_state(model), 0, PretrainingHistory())
    )
    place(model, on)
    key = _key(pretraining)
    for number in range(done + 1, pretraining.num_rounds + 1):
        outcome = pretrain_round(
            model,
            weights,
            unlabelled=pretraining.scans,
            plan=pretraining.plan,
            seed=derive_seed(pretraining.study.seed, "pretraining", number),
            hardware=hardware,
        )
        weights = outcome.trained
        history = PretrainingHistory(
            epoch_losses=history.epoch_losses + outcome.epoch_losses,
            epoch_spreads=history.epoch_spreads + outcome.epoch_spreads,
            epoch_ranks=history.epoch_ranks + outcome.epoch_ranks,
            collapsed=outcome.collapsed,
        )
        facts = _Facts(key=key, num_rounds=number, history=history)
        write_private(path, save({_WEIGHTS: weights.values}, metadata={"facts": facts.model_dump_json()}))


def load_pretrained(pretraining: Pretraining, path: Path) -> Pretrained | None:
    """What `pretrain` has left so far; None where no round is finished.

    Raises:
        CheckpointUnreadable: `path` is of another pre-training, or damaged.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            facts = _Facts.model_validate_json(file.metadata()["facts"])
            values = np.asarray(file.get_tensor(_WEIGHTS), dtype=np.float32)
    except (OSError, SafetensorError, KeyError, TypeError, ValidationError) as error:
        raise CheckpointUnreadable(f"{path} is damaged", hint="delete it to pre-train again") from error
    if facts.key != _key(pretraining):
        raise CheckpointUnreadable(f"{path} is of another pre-training", hint="give another folder, or delete it")
    return Pretrained(FlatState(_layout(pretraining), values), facts.num_rounds, facts.history)


def _network(pretraining: Pretraining) -> SimSiam:
    """Encoder with the study's first weights, projector and predictor with weights of the same seed."""
    import torch

    encoder, plan = planned_model(pretraining.study), pretraining.plan
    write_state(encoder, initial_state(pretraining.study))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(pretraining.study.seed, "projector"))
        return SimSiam(
            encoder,
            projector_width=plan.projector_width,
            projection_size=plan.projection_size,
            predictor_width=plan.predictor_width,
        )


def _layout(pretraining: Pretraining) -> Layout:
    return layout_of(_network(pretraining))


def _key(pretraining: Pretraining) -> str:
    """Digest of all that decides the weights; the number of rounds may grow."""
    scans = pretraining.scans
    facts = {
        "study": [pretraining.study.seed, pretraining.study.recipe, pretraining.study.model.model_dump(mode="json")],
        "plan": pretraining.plan.model_dump(mode="json"),
        "scans": case_facts(scans),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
