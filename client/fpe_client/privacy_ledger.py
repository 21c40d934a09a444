"""What each private study has spent on this site's cases, kept across restarts."""

import json
from pathlib import Path

from fpe_core.errors import CheckpointUnreadable
from fpe_core.files import write_atomic


class PrivacyLedger:
    """One JSON file for each study, with the accountant's state after its last round. It holds no data.

    Args:
        folder: the site's own; made when first written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def spent(self, study_fingerprint: str) -> dict[str, object] | None:
        """What `record` was last told about the study; None before its first round.

        Raises:
            CheckpointUnreadable: the file is damaged. Nobody may assume that nothing was spent.
        """
        path = self._path(study_fingerprint)
        try:
            state = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise CheckpointUnreadable(
                f"{path}: not a privacy accountant's state ({type(error).__name__})",
                hint="restore the file from a backup; without it nobody knows what the study has spent",
            ) from error
        if not isinstance(state, dict):
            raise CheckpointUnreadable(f"{path}: not a privacy accountant's state", hint="restore it from a backup")
        return state

    def record(self, study_fingerprint: str, state: dict[str, object]) -> None:
        """Keep the state after a round. To be called before the round's update leaves: it is spent then."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(self._path(study_fingerprint), json.dumps(state).encode(), mode=0o600)

    def _path(self, study_fingerprint: str) -> Path:
        return self.folder / f"{study_fingerprint}.json"
