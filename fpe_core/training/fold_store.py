"""A run folder of a cross-validation: what each finished fold gave.

    fold-1/
    ├── weights.safetensors      the fold's model, one tensor per name
    ├── predictions.json         probabilities, labels, threshold; no case id
    └── round.safetensors        while the fold is in work: where it goes on after a kill

Everything in it is a patient's, and closed to other users.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as safetensors_tensors
from safetensors.numpy import save as safetensors_bytes

from fpe_core.config.base import FrozenModel
from fpe_core.errors import CheckpointUnreadable
from fpe_core.evaluation.thresholds import Threshold
from fpe_core.preprocessing.processed import write_private
from fpe_core.state import FlatState, FloatArray, Layout
from fpe_core.training.predict import Predictions


@dataclass(frozen=True, eq=False)
class FoldOutcome:
    """What one fold of a cross-validation gives.

    Attributes:
        number: of the fold, from 1.
        trained: the weights of its best epoch.
        threshold: chosen on its validation cases.
        validation: predictions on its validation cases, in the order of the development cohort.
        test: predictions on the test cohort, in its order.
        num_epochs: epochs that it trained for.
        accountant: of a private training, what the fold has spent; else None.
    """

    number: int
    trained: FlatState
    threshold: Threshold
    validation: Predictions
    test: Predictions
    num_epochs: int
    accountant: dict[str, object] | None


class _Predicted(FrozenModel):
    probabilities: tuple[float, ...]
    labels: tuple[int, ...]
    loss: float


class _Record(FrozenModel):
    key: str
    threshold: float
    validation_youden: float
    validation: _Predicted
    test: _Predicted
    num_epochs: int
    accountant: dict[str, object] | None


class FoldStore:
    """The folder of one cross-validation.

    Args:
        folder: made when the first fold writes into it.
        key: a digest of all that decides the result.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key

    def round_checkpoint(self, number: int) -> Path:
        """Where fold `number` keeps its place while it trains."""
        return self._fold(number) / "round.safetensors"

    def save(self, outcome: FoldOutcome) -> None:
        """Write a finished fold; its place is not needed any more."""
        record = _Record(
            key=self.key,
            threshold=outcome.threshold.value,
            validation_youden=outcome.threshold.validation_youden,
            validation=_predicted(outcome.validation),
            test=_predicted(outcome.test),
            num_epochs=outcome.num_epochs,
            accountant=outcome.accountant,
        )
        write_private(self._weights(outcome.number), _weights_bytes(outcome.trained))
        # Last, because a fold with predictions counts as finished.
        write_private(self._predictions(outcome.number), (record.model_dump_json() + "\n").encode())
        self.round_checkpoint(outcome.number).unlink(missing_ok=True)

    def load(self, number: int, layout: Layout) -> FoldOutcome | None:
        """A finished fold, None where it is not finished.

        Raises:
            CheckpointUnreadable: the files are damaged, or of another run.
        """
        path = self._predictions(number)
        if not path.is_file():
            return None
        try:
            record = _Record.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise _unreadable(path, "is damaged", f"delete {path.parent} to train the fold again") from error
        if record.key != self.key:
            hint = f"give another folder, or delete {self.folder} to train its folds again"
            raise _unreadable(path, "is of another run: other plan, cases or first weights", hint)
        return FoldOutcome(
            number,
            self._trained(number, layout),
            Threshold(record.threshold, record.validation_youden),
            _predictions(record.validation),
            _predictions(record.test),
            record.num_epochs,
            record.accountant,
        )

    def _trained(self, number: int, layout: Layout) -> FlatState:
        path = self._weights(number)
        try:
            tensors = safetensors_tensors(path.read_bytes())
            parts = [tensors[entry.name].astype(np.float32).reshape(entry.shape).ravel() for entry in layout.entries]
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise _unreadable(path, "is damaged", f"delete {path.parent} to train the fold again") from error
        return FlatState(layout, np.concatenate(parts))

    def _fold(self, number: int) -> Path:
        return self.folder / f"fold-{number}"

    def _weights(self, number: int) -> Path:
        return self._fold(number) / "weights.safetensors"

    def _predictions(self, number: int) -> Path:
        return self._fold(number) / "predictions.json"


def _weights_bytes(state: FlatState) -> bytes:
    tensors = {entry.name: _as_in_model(state[entry.name], entry.dtype) for entry in state.layout.entries}
    return bytes(safetensors_bytes(tensors))


def _as_in_model(values: FloatArray, dtype: str) -> NDArray[np.generic]:
    return values if dtype == "float32" else np.asarray(np.rint(values), dtype=dtype)


def _predicted(predictions: Predictions) -> _Predicted:
    return _Predicted(
        probabilities=tuple(predictions.probabilities.tolist()),
        labels=tuple(predictions.labels.tolist()),
        loss=predictions.loss,
    )


def _predictions(record: _Predicted) -> Predictions:
    return Predictions(
        np.array(record.probabilities, dtype=np.float64), np.array(record.labels, dtype=np.int64), record.loss
    )


def _unreadable(path: Path, what: str, hint: str) -> CheckpointUnreadable:
    return CheckpointUnreadable(f"{path} {what}", hint=hint)
