"""Pseudonyms, and the link table: the one file that says who is behind them.

A pseudonym is an HMAC-SHA256 with a secret salt: without the link table, which holds the salt, it cannot be computed
from a known patient id. Whoever has the table can, so it stays at the hospital.
"""

import fcntl
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from fpe_core.config.base import FrozenModel
from fpe_core.errors import ImportFailed
from fpe_core.preprocessing.processed import write_private

_SALT_BYTES = 32
_DIGITS = 12
"""Hexadecimal digits of a pseudonym: among 100 000 studies two agree with a chance of 2 in 100 000."""


class LinkedCase(FrozenModel):
    """Who is behind a case."""

    patient_id: str
    """Pseudonym of the patient."""
    study_uids: tuple[str, ...] = Field(min_length=1)
    """StudyInstanceUIDs; the first gave the case its name."""
    study_date: date | None
    """Day of the first study."""


class _Content(FrozenModel):
    schema_version: Literal[1] = 1
    salt: Annotated[str, Field(pattern=f"^[0-9a-f]{{{2 * _SALT_BYTES}}}$")]
    patients: dict[str, str] = Field(default_factory=dict)
    """PatientID by pseudonym."""
    cases: dict[str, LinkedCase] = Field(default_factory=dict)
    """By case id."""


class LinkTable:
    """The salt, and what was named with it. `save` after naming; nothing is written before."""

    def __init__(self, path: Path, content: _Content) -> None:
        self._path = path
        self._salt = bytes.fromhex(content.salt)
        self._patients = dict(content.patients)
        self._cases = dict(content.cases)
        self._case_of = {uid: case_id for case_id, case in self._cases.items() for uid in case.study_uids}
        self._case_of |= {case.study_uids[0]: case_id for case_id, case in self._cases.items()}
        self._given: set[str] = set()

    @classmethod
    def load(cls, path: Path) -> "LinkTable":
        """The table in `path`; a new one with a salt of its own where there is none.

        Raises:
            ImportFailed: the file is damaged, or does not fit itself. It is never overwritten then.
        """
        if not path.exists():
            return cls(path, _Content(salt=secrets.token_hex(_SALT_BYTES)))
        hint = "bring it back from a backup; without it the same patients would get new names"
        try:
            content = _Content.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise ImportFailed(f"{path}: not a link table ({type(error).__name__})", hint=hint) from None
        table = cls(path, content)
        if any(table.patient(real) != name for name, real in content.patients.items()):
            raise ImportFailed(f"{path}: the names in this link table were not made with its salt", hint=hint)
        return table

    def save(self) -> None:
        """Write the table, readable by the owner only."""
        content = _Content(
            salt=self._salt.hex(),
            patients=dict(sorted(self._patients.items())),
            cases=dict(sorted(self._cases.items())),
        )
        write_private(self._path, (content.model_dump_json(indent=1) + "\n").encode())

    def patient(self, patient_key: str) -> str:
        """Pseudonym of a patient, `p-…`; the table remembers it."""
        name = f"p-{self._digest('patient', patient_key)}"
        self._patients[name] = patient_key
        return name

    def case(self, patient_key: str, study_keys: Iterable[str], study_date: date | None) -> str:
        """Pseudonym of a case, `case-…`: of the patient and the first study.

        A case keeps its name when a later export adds a study to it, also one that was taken earlier. No name is given
        twice while the table is open: where other rules now part a case in two, the second gets a new one.
        """
        studies = tuple(study_keys)
        known = [self._case_of[uid] for uid in studies if self._case_of.get(uid, "") not in {"", *self._given}]
        case_id = known[0] if known else f"case-{self._digest('case', patient_key, studies[0])}"
        self._given.add(case_id)
        before = self._cases[case_id].study_uids if case_id in self._cases else ()
        linked = LinkedCase(
            patient_id=self.patient(patient_key),
            study_uids=tuple(dict.fromkeys((*before, *studies))),
            study_date=study_date,
        )
        self._cases[case_id] = linked
        return case_id

    def keyed_hash(self, *parts: str) -> str:
        """Of what must be recognised again but not read: 64 hexadecimal digits that say nothing without the salt."""
        message = "".join(f"{len(part.encode())}:{part}" for part in parts)
        return hmac.new(self._salt, message.encode(), hashlib.sha256).hexdigest()

    def _digest(self, *parts: str) -> str:
        return self.keyed_hash(*parts)[:_DIGITS]


@contextmanager
def alone_with(path: Path) -> Iterator[None]:
    """Hold the table's lock: two imports at a time would each lose what the other one named.

    Raises:
        ImportFailed: another import is at work with this table.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ImportFailed(f"another import is at work with {path}", hint="wait for it, or stop it") from None
        yield
