"""The lock of a model that is about to travel: what it is, fixed before a case of the other hospital is predicted.

A lock names the weights of every fold by their sha256, the folds' thresholds and the threshold of the ensemble. It is
written once. A second run of the same folder must arrive at the same lock, and a prediction elsewhere reads weights
only when their digest is the locked one.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

from pydantic import ValidationError

from fpe_core.config.base import FrozenModel
from fpe_core.config.recipe import recipe_named
from fpe_core.config.study import StudyPlan
from fpe_core.data.labels import label_fingerprint
from fpe_core.errors import CheckpointUnreadable
from fpe_core.preprocessing.processed import write_private
from fpe_core.training.fold_store import FoldOutcome


class LockedFold(FrozenModel):
    """One of the models that travel together."""

    number: int
    """Of the fold, from 1."""
    weights_sha256: str
    """Of the file with its weights."""
    threshold: float
    """Chosen on the fold's own validation cases."""


class Lock(FrozenModel):
    """All that decides a prediction."""

    name: str
    """Of direction and outcome."""
    plan_sha256: str
    """Fingerprint of network and training."""
    recipe_sha256: str
    """Fingerprint of the preprocessing recipe."""
    label_sha256: str
    """Fingerprint of the outcome's definition."""
    folds: tuple[LockedFold, ...]
    threshold: float
    """Of the ensemble's probability: the mean of the folds' thresholds, as its probability is the folds' mean."""
    locked_at: datetime
    """When; not part of the digest."""

    def digest(self) -> str:
        """sha256 of everything but the time."""
        return hashlib.sha256(self.model_dump_json(exclude={"locked_at"}).encode()).hexdigest()


def weights_file(training_folder: Path, fold: int) -> Path:
    """Where `cross_validate` leaves a fold's weights."""
    return training_folder / f"fold-{fold}" / "weights.safetensors"


def lock_models(path: Path, plan: StudyPlan, training_folder: Path, folds: Sequence[FoldOutcome]) -> Lock:
    """Write the lock of finished folds, or find it again.

    Args:
        path: of the lock.
        plan: that the folds were trained by.
        training_folder: has their weights.
        folds: all of them.

    Raises:
        CheckpointUnreadable: there is a lock already, and it is damaged or of other models.
    """
    locked = tuple(
        LockedFold(
            number=fold.number,
            weights_sha256=file_sha256(weights_file(training_folder, fold.number)),
            threshold=fold.threshold.value,
        )
        for fold in folds
    )
    lock = Lock(
        name=plan.name,
        plan_sha256=plan.fingerprint(),
        recipe_sha256=recipe_named(plan.recipe).fingerprint(),
        label_sha256=label_fingerprint(plan.task),
        folds=locked,
        threshold=fmean(fold.threshold for fold in locked),
        locked_at=datetime.now(UTC),
    )
    if path.is_file():
        return _same(read_lock(path), lock, path)
    write_private(path, (lock.model_dump_json(indent=1) + "\n").encode())
    return lock


def read_lock(path: Path) -> Lock:
    """Read what `lock_models` wrote.

    Raises:
        CheckpointUnreadable: it is missing or damaged.
    """
    try:
        return Lock.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise CheckpointUnreadable(f"{path}: no lock ({type(error).__name__})", hint="give another folder") from error


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes.

    Raises:
        CheckpointUnreadable: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointUnreadable(f"{path}: cannot be read ({type(error).__name__})") from error


def _same(written: Lock, lock: Lock, path: Path) -> Lock:
    if written.digest() != lock.digest():
        raise CheckpointUnreadable(
            f"{path} locks other models than those trained now",
            hint="a lock is never changed; give another folder for another protocol",
        )
    return written
