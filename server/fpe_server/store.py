"""The run folder: everything a study leaves on the coordinator's disk.

RUN_FOLDER/
├── study.yaml             the plan
├── state.json             how it stands now
├── events.jsonl           what happened, one line each
├── checkpoints/           the study's memory
├── results.json           when finished
├── model.safetensors      the chosen model
└── report.html
"""

import hashlib
import json
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from fpe_core.errors import FpeError
from fpe_core.evaluation.results import StudyResults, save_results
from fpe_core.files import write_atomic
from fpe_core.protocol import Reply
from fpe_core.state import FlatState, FloatArray
from fpe_server.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from fpe_server.study_state import StudyState


class RunFolder:
    """Writes and reads one study's run folder.

    Args:
        path: the folder; it must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = StudyState()
        self._checkpoints = path / "checkpoints"
        self._checkpoints.mkdir(mode=0o700, exist_ok=True)

    def tell(self, message: str, *, sites: dict[str, str] | None = None, **changes: str | int | None) -> None:
        """Update `state.json` and note the change in `events.jsonl`."""
        known = self.state.sites if sites is None else dict(sites)
        self.state = replace(self.state, message=message, sites=known, **changes)  # type: ignore[arg-type]
        self._note("state", message=message, **changes)
        self._write_state()

    def site_answered(self, site: str, reply: Reply) -> None:
        """Note that a site answered, or why it did not."""
        failure = reply.header.failure
        self.state.sites[site] = f"failed:{failure.code}" if failure else "answered"
        self._note(
            "reply",
            site=site,
            kind=reply.header.kind,
            round=reply.header.round_number,
            code=failure.code if failure else None,
        )
        self._write_state()

    def refused(self, site: str, error: FpeError) -> None:
        """Note that a site's answer cannot be used."""
        self.state.sites[site] = f"failed:{error.code}"
        self._note("refused", site=site, code=error.code, reason=str(error))
        self._write_state()

    def fail(self, error: FpeError) -> None:
        """Note that the study ended with an error."""
        self.tell(str(error), status="failed", code=error.code)

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep where the study stands; see `checkpoint.save_checkpoint`."""
        save_checkpoint(self._checkpoints, checkpoint)

    def load_checkpoint(self, study_fingerprint: str) -> Checkpoint | None:
        """Where the study stood; see `checkpoint.load_checkpoint`."""
        return load_checkpoint(self._checkpoints, study_fingerprint)

    def save_model(self, state: FlatState, metadata: dict[str, str]) -> str:
        """Write `model.safetensors`, one tensor per name, and `metadata` as one JSON text under the key `study`.

        Returns:
            The file's sha256: the same weights and metadata give the same.
        """
        tensors = {entry.name: _as_in_model(state[entry.name], entry.dtype) for entry in state.layout.entries}
        # safetensors writes several keys in an order that changes from file to file.
        content = save(tensors, metadata={"study": json.dumps(metadata, sort_keys=True)})
        write_atomic(self.path / "model.safetensors", content)
        return hashlib.sha256(content).hexdigest()

    def save_results(self, results: StudyResults) -> None:
        """Write `results.json`."""
        save_results(results, self.path / "results.json")

    def _write_state(self) -> None:
        write_atomic(self.path / "state.json", json.dumps(asdict(self.state)).encode())

    def _note(self, event: str, **what: str | int | None) -> None:
        with (self.path / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": round(time.time(), 3), "event": event, **what}) + "\n")


def _as_in_model(tensor: FloatArray, dtype: str) -> NDArray[np.generic]:
    """Averaged counters are fractions; they are rounded as `fpe_core.models.state.write_state` does."""
    return (tensor if dtype == "float32" else np.asarray(np.rint(tensor))).astype(dtype)
