"""Predictions of locked models at the hospital that they visit, one file per fold."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors.torch import load as safetensors_tensors

from fpe_core.config.base import FrozenModel
from fpe_core.config.study import StudyPlan
from fpe_core.data.dataset import CaseDataset
from fpe_core.errors import CheckpointUnreadable
from fpe_core.models.planned import planned_model
from fpe_core.preprocessing.processed import write_private
from fpe_core.training.device import choose_device, place
from fpe_core.training.hardware import Hardware, default_workers
from fpe_core.training.predict import predict
from fpe_core.training.round_checkpoint import case_facts
from fpe_sim.external_validation.locks import Lock, read_lock, weights_file
from fpe_sim.ray_tasks import Progress, run_tasks
from fpe_sim.run_context import RunContext


class _Visit(FrozenModel):
    key: str
    probabilities: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Visit:
    """Locked models and the cases that they have never seen.

    Attributes:
        lock_file: written before.
        plan: of the models.
        training_folder: has their weights.
        cases: of the other hospital.
        folder: for the predictions.
    """

    lock_file: Path
    plan: StudyPlan
    training_folder: Path
    cases: CaseDataset
    folder: Path

    def result(self, fold: int) -> Path:
        """File of one fold's predictions."""
        return self.folder / f"fold-{fold}.json"

    def key(self, lock: Lock) -> str:
        """Digest of all that decides the predictions."""
        facts = [lock.digest(), case_facts(self.cases)]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def predict_away(
    visits: Sequence[Visit], *, context: RunContext, progress: Progress
) -> list[tuple[NDArray[np.float64], ...]]:
    """Probabilities `(N,)` of each visit's cases by each of its locked models, in the order of the folds.

    Raises:
        CheckpointUnreadable: there is no lock, or weights are not those that were locked.
    """
    locks = [read_lock(visit.lock_file) for visit in visits]
    tasks = [
        (visit, fold.number, context.device)
        for visit, lock in zip(visits, locks, strict=True)
        for fold in lock.folds
        if _read(visit, lock, fold.number) is None
    ]
    run_tasks(predict_fold, tasks, context=context, progress=progress)
    return [
        tuple(_kept(visit, lock, fold.number) for fold in lock.folds) for visit, lock in zip(visits, locks, strict=True)
    ]


def predict_fold(visit: Visit, number: int, device: str) -> None:
    """Let one locked model predict all cases; the result stays in the visit's folder.

    Raises:
        CheckpointUnreadable: its weights are not those that were locked.
    """
    lock = read_lock(visit.lock_file)
    locked = next(fold for fold in lock.folds if fold.number == number)
    path = weights_file(visit.training_folder, number)
    # Checked on the very bytes that are used.
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != locked.weights_sha256:
        raise CheckpointUnreadable(
            f"{path} is not what was locked for {lock.name}, fold {number}", hint="run the protocol in another folder"
        )
    on = choose_device(device)
    model = planned_model(visit.plan)
    model.load_state_dict(safetensors_tensors(content))
    predictions = predict(
        place(model, on), visit.cases, plan=visit.plan.training, hardware=Hardware(on, num_workers=default_workers(on))
    )
    found = _Visit(key=visit.key(lock), probabilities=tuple(predictions.probabilities.tolist()))
    write_private(visit.result(number), (found.model_dump_json() + "\n").encode())


def _read(visit: Visit, lock: Lock, number: int) -> NDArray[np.float64] | None:
    """Predictions that were made before; None where there are none of this lock and these cases."""
    try:
        found = _Visit.model_validate_json(visit.result(number).read_bytes())
    except (OSError, ValidationError):
        return None
    return np.array(found.probabilities, dtype=np.float64) if found.key == visit.key(lock) else None


def _kept(visit: Visit, lock: Lock, number: int) -> NDArray[np.float64]:
    found = _read(visit, lock, number)
    if found is None:
        raise CheckpointUnreadable(f"{visit.result(number)} was made and is gone", hint="run the protocol again")
    return found
