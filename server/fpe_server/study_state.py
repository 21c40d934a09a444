"""How a study stands, as its run folder says: `state.json`, written by the study runner."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from fpe_core.config import StudyPlan, load_study
from fpe_core.errors import ConfigValueInvalid, FederationError, FpeError
from fpe_core.files import write_atomic
from fpe_server.federation import Federation


@dataclass(frozen=True)
class StudyState:
    """One reading of `state.json`.

    Attributes:
        status: waiting, running, finished or failed.
        round: federated rounds done.
        rounds: federated rounds planned.
        sites: site name to waiting, working, answered or failed:CODE.
        message: what happens right now, in words.
        code: code of the error of a failed study.
    """

    status: str = "waiting"
    round: int = 0
    rounds: int = 0
    sites: dict[str, str] = field(default_factory=dict)
    message: str = ""
    code: str | None = None

    @property
    def over(self) -> bool:
        """Whether the study ended, well or not."""
        return self.status in ("finished", "failed")


_STATE = TypeAdapter(StudyState)


def read_state(run_folder: Path) -> StudyState:
    """How the study stands; a study that has not begun is waiting."""
    try:
        return _STATE.validate_json((run_folder / "state.json").read_bytes())
    except FileNotFoundError:
        return StudyState()
    except ValidationError:
        raise FederationError(f"{run_folder / 'state.json'} is damaged") from None


def prepare_run_folder(federation: Federation, study: Path) -> tuple[StudyPlan, Path]:
    """Make the study's run folder, or find it again: the plan decides which one it is.

    Args:
        federation: where the folder goes.
        study: the study plan (YAML).

    Raises:
        ConfigError: the plan is not valid, or the federation has another study of this name.
    """
    plan = load_study(study)
    folder = federation.run_folder(plan.name)
    copy = folder / "study.yaml"
    if copy.exists() and load_study(copy).fingerprint() != plan.fingerprint():
        raise ConfigValueInvalid(
            f"{study}: the federation has a study {plan.name!r} with another plan already",
            hint="give the study a new name; a plan that has begun is not changed",
        )
    folder.mkdir(mode=0o700, exist_ok=True)
    if not copy.exists():
        write_atomic(copy, study.read_bytes())
    return plan, folder


def begin_again(run_folder: Path) -> None:
    """Note that a study that failed is tried once more, from its last checkpoint."""
    path = run_folder / "state.json"
    state = json.loads(path.read_bytes())
    state.update(status="waiting", code=None, message="starting again")
    write_atomic(path, json.dumps(state).encode())


def error_of(state: StudyState) -> FpeError:
    """The error of a failed study, as an object of its class."""
    for kind in _all_errors(FpeError):
        if kind.code == state.code:
            return kind(state.message)
    return FederationError(state.message)


def newest_run_folder(federation: Federation) -> Path | None:
    """The run folder in which something happened last."""
    folders = [path for path in federation.runs.iterdir() if (path / "study.yaml").exists()]
    return max(folders, key=_last_change, default=None)


def _last_change(folder: Path) -> float:
    return max(path.stat().st_mtime for path in (folder / "study.yaml", folder / "state.json") if path.exists())


def _all_errors(root: type[FpeError]) -> list[type[FpeError]]:
    return [root, *(kind for child in root.__subclasses__() for kind in _all_errors(child))]
