"""A study's memory: one safetensors file after each round, written atomically, read back after any crash."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fpe_core.config.base import FrozenModel
from fpe_core.errors import CheckpointUnreadable, ModelError
from fpe_core.evaluation.results import RoundResults, StudyFailure
from fpe_core.files import write_atomic
from fpe_core.protocol import Count, Evaluation, Sha256, SiteDescription
from fpe_core.state import FlatState, FloatArray, Layout

_KEPT = 2
"""Checkpoints on disk: the newest, and one before it should the newest turn out to be damaged."""


class StudyProgress(FrozenModel):
    """All that a study has found so far, except the weights."""

    study_fingerprint: Sha256
    descriptions: dict[str, SiteDescription]
    """The sites that take part, by name."""
    rounds: tuple[RoundResults, ...] = ()
    best_round: Count = 0
    best_loss: float | None = None
    """Pooled validation loss of the model after `best_round` rounds; None before any site gave one."""
    tests: dict[str, Evaluation] = Field(default_factory=dict)
    """Held-out evaluation of the chosen model, by site."""
    alone: dict[str, Evaluation] = Field(default_factory=dict)
    """Held-out evaluation of each site's own training, by site."""
    failures: tuple[StudyFailure, ...] = ()


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where a study stands.

    Attributes:
        progress: everything but weights.
        current: the newest global model.
        best: the global model with the lowest validation loss so far; the newest judged one before any site gave one.
    """

    progress: StudyProgress
    current: FlatState
    best: FlatState


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` under the number of its last round and drop the oldest ones."""
    tensors = {"current": checkpoint.current.values, "best": checkpoint.best.values}
    metadata = {"layout": checkpoint.current.layout.to_json(), "progress": checkpoint.progress.model_dump_json()}
    metadata["sha256"] = _digest(metadata, *tensors.values())
    path = folder / f"round-{len(checkpoint.progress.rounds):05d}.safetensors"
    write_atomic(path, save(tensors, metadata=metadata), mode=0o600)
    for old in _newest_first(folder)[_KEPT:]:
        old.unlink()


def load_checkpoint(folder: Path, study_fingerprint: str) -> Checkpoint | None:
    """The newest good checkpoint, or None where the study has not begun.

    Raises:
        CheckpointUnreadable: there are checkpoints, but all are damaged, or they belong to another plan.
    """
    paths = _newest_first(folder)
    for path in paths:
        try:
            checkpoint = _read(path)
        except (SafetensorError, OSError, KeyError, TypeError, ValidationError, ModelError):
            continue
        if checkpoint.progress.study_fingerprint != study_fingerprint:
            raise CheckpointUnreadable(f"{path} belongs to another plan", hint="give the study a new name")
        return checkpoint
    if paths:
        raise CheckpointUnreadable(f"no checkpoint in {folder} can be read", hint="give the study a new name")
    return None


def _read(path: Path) -> Checkpoint:
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
        current, best = file.get_tensor("current"), file.get_tensor("best")
    if _digest(metadata, current, best) != metadata["sha256"]:
        raise OSError("the content differs from its checksum")
    layout = Layout.from_json(metadata["layout"])
    progress = StudyProgress.model_validate_json(metadata["progress"])
    return Checkpoint(progress, FlatState(layout, current), FlatState(layout, best))


def _digest(metadata: Mapping[str, str], *arrays: FloatArray) -> str:
    digest = hashlib.sha256(f"{metadata['layout']}\n{metadata['progress']}".encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("round-*.safetensors"), reverse=True)
