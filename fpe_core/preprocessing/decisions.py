"""What a person decided about cases after looking at their pictures.

Decisions are kept by the content key of the case's file, which stands for its images and the recipe: a changed image
has no decision yet.
"""

import difflib
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from fpe_core.config.base import FrozenModel
from fpe_core.errors import CaseTableInvalid, DataError
from fpe_core.preprocessing.manifest import Manifest, ManifestEntry, load_manifest, load_quarantine
from fpe_core.preprocessing.processed import write_private
from fpe_core.preprocessing.storage import clear_leftovers, locked, storage_errors_told

DECISIONS = "qc-decisions.json"
_LOCK = "qc-decisions.lock"


class Decision(FrozenModel):
    """One person's word about one case."""

    case_id: str
    """The case's id when it was decided, for reading; the key counts."""
    accepted: bool
    """False for a rejected case."""
    reason: str = ""
    """In the person's words; it stays at the site."""
    decided_at: datetime
    """UTC."""


class Decisions(FrozenModel):
    """All decisions of a cohort."""

    schema_version: Literal[1] = 1
    """Version of this file's format."""
    cases: dict[str, Decision] = Field(default_factory=dict)
    """By the content key of the case."""


def key_of(entry: ManifestEntry) -> str:
    """The content key of a case: the name of its file."""
    return Path(entry.file).stem


def load_decisions(folder: Path) -> Decisions:
    """The decisions of a cohort; none where nobody decided anything.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / DECISIONS
    try:
        return Decisions.model_validate_json(path.read_bytes()) if path.is_file() else Decisions()
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{path}: not a list of decisions", hint="bring it back from a backup, or delete it and decide again"
        ) from error


def decide(folder: Path, case_ids: Iterable[str], *, accepted: bool, reason: str = "") -> None:
    """Keep a decision about some cases, all or none of them; a later one takes the place of an earlier one.

    Args:
        folder: the cohort's folder.
        case_ids: cases that are preprocessed.
        accepted: True to use them whatever the gate says, False to leave them out.
        reason: in the person's own words.

    Raises:
        CaseTableInvalid: a case is not among the preprocessed ones.
        DataError: a list of the cohort is damaged, or the folder cannot be written.
    """
    manifest = load_manifest(folder)
    now = datetime.now(UTC).replace(microsecond=0)
    new = {
        key_of(_entry(folder, manifest, case_id)): Decision(
            case_id=case_id, accepted=accepted, reason=reason, decided_at=now
        )
        for case_id in case_ids
    }
    with storage_errors_told(folder), locked(folder / _LOCK, wait=True):
        clear_leftovers(folder, DECISIONS)
        _write(folder, load_decisions(folder).cases | new)


def drop_decisions(folder: Path, *, keep: Collection[str]) -> None:
    """Forget the decisions about cases whose content key is not in `keep`.

    Raises:
        DataError: the list is damaged, or the folder cannot be written.
    """
    with storage_errors_told(folder), locked(folder / _LOCK, wait=True):
        decided = load_decisions(folder).cases
        kept = {key: decision for key, decision in decided.items() if key in keep}
        if kept != decided:
            _write(folder, kept)


def _write(folder: Path, decisions: dict[str, Decision]) -> None:
    content = Decisions(cases=decisions).model_dump_json(indent=1) + "\n"
    write_private(folder / DECISIONS, content.encode())


def _entry(folder: Path, manifest: Manifest, case_id: str) -> ManifestEntry:
    entry = manifest.cases.get(case_id)
    if entry is not None:
        return entry
    set_aside = load_quarantine(folder).cases.get(case_id)
    if set_aside is not None:
        raise CaseTableInvalid(
            f"{case_id} could not be preprocessed ({set_aside.code}): there is nothing to accept or to reject",
            hint="correct what the code says and preprocess again",
        )
    near = difflib.get_close_matches(case_id, manifest.cases, n=1, cutoff=0.0)
    hint = f"did you mean {near[0]}?" if near else "run fpe-client preprocess first"
    raise CaseTableInvalid(f"no preprocessed case has the id {case_id!r} in {folder}", hint=hint)
