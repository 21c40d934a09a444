"""A split that was drawn once and is kept, so that all rounds of a study see the same patients in the same place.

The file names patients: it stays at the site, readable by its owner only. The same split gives the same bytes.
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, cast, get_args

from pydantic import Field, ValidationError, model_validator

from fpe_core.config.base import FrozenModel
from fpe_core.config.study import SplitPlan
from fpe_core.data.folds import patient_folds
from fpe_core.data.splits import split_patients
from fpe_core.errors import SplitUnusable
from fpe_core.preprocessing.processed import write_private
from fpe_core.protocol import SplitName

log = logging.getLogger(__name__)

SPLITS: tuple[SplitName, ...] = get_args(SplitName)
_NEW_SPLIT = "move the file away to draw a new split; results before and after cannot be compared then"


class SavedSplit(FrozenModel):
    """Patients by part: train, validation and test, or the folds of a cross-validation."""

    schema_version: Literal[1] = 1
    """Version of this file's format."""
    kind: Literal["random", "date", "folds"]
    """random and date have the parts train, validation and test; folds has fold-0, fold-1 …"""
    seed: Annotated[int, Field(ge=0)]
    """Decided which patients went where."""
    plan: SplitPlan | None
    """What random and date were drawn by; None for folds."""
    parts: dict[str, tuple[str, ...]]
    """Patient ids by part, sorted."""
    sha256: str
    """Of everything above as canonical JSON."""

    @classmethod
    def of_splits(cls, split_of: Mapping[str, SplitName], plan: SplitPlan, *, seed: int) -> "SavedSplit":
        """A split into train, validation and test."""
        parts: dict[str, tuple[str, ...]] = {
            name: _sorted(patient for patient, split in split_of.items() if split == name) for name in SPLITS
        }
        return _hashed("random" if plan.test_from is None else "date", seed, plan, parts)

    @classmethod
    def of_folds(cls, labels_by_patient: Mapping[str, int], *, num_folds: int, seed: int) -> "SavedSplit":
        """A stratified cross-validation, drawn by `patient_folds`, whose errors it raises."""
        fold_of = patient_folds(labels_by_patient, num_folds=num_folds, seed=seed)
        parts = {
            f"fold-{number}": _sorted(patient for patient, fold in fold_of.items() if fold == number)
            for number in range(num_folds)
        }
        return _hashed("folds", seed, None, parts)

    @property
    def part_of(self) -> dict[str, str]:
        """Part of each patient."""
        return {patient: part for part, patients in self.parts.items() for patient in patients}

    @property
    def split_of(self) -> dict[str, SplitName]:
        """Split of each patient of a random or date split."""
        return cast(dict[str, SplitName], self.part_of)

    @property
    def fold_of(self) -> dict[str, int]:
        """Fold of each patient of a cross-validation."""
        return {patient: int(part.removeprefix("fold-")) for patient, part in self.part_of.items()}

    @model_validator(mode="after")
    def _each_patient_once(self) -> "SavedSplit":
        counts = Counter(patient for patients in self.parts.values() for patient in patients)
        if twice := sum(count > 1 for count in counts.values()):
            raise ValueError(f"each patient should stand in one part; {twice} stand in several")
        expected = [f"fold-{i}" for i in range(len(self.parts))] if self.kind == "folds" else list(SPLITS)
        if list(self.parts) != expected or (self.plan is None) != (self.kind == "folds"):
            raise ValueError(f"parts of a {self.kind} split should be {', '.join(expected)}")
        return self

    def save(self, path: Path) -> None:
        """Write the file atomically, readable by its owner only."""
        write_private(path, (self.model_dump_json(indent=1) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> "SavedSplit":
        """Read a file back.

        Raises:
            SplitUnusable: not there, cut off, changed since it was written, or a patient stands in two parts.
        """
        try:
            content = path.read_bytes()
            saved = cls.model_validate_json(content)
        except OSError as error:
            raise SplitUnusable(f"{path}: cannot be read ({type(error).__name__})") from None
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise SplitUnusable(f"{path}: not a saved split: {reason}", hint=_restore(path)) from None
        if saved.sha256 != _digest(json.loads(content)):
            raise SplitUnusable(f"{path}: changed since it was written: its sha256 differs", hint=_restore(path))
        return saved

    def check_fits(self, patients: Iterable[str], path: Path) -> None:
        """Refuse when the present patients are not exactly those of the split.

        Raises:
            SplitUnusable: patients came or went; the message counts them.
        """
        present, known = set(patients), set(self.part_of)
        if present != known:
            raise SplitUnusable(
                f"{path}: made for {len(known)} patients, of whom {len(known - present)} are gone; "
                f"{len(present - known)} of the {len(present)} present ones are new",
                hint=f"bring the case table of that time back, or {_NEW_SPLIT}",
            )


def saved_or_new_split(
    path: Path,
    labels_by_patient: Mapping[str, int],
    plan: SplitPlan,
    *,
    seed: int,
    treated_on: Mapping[str, date] | None = None,
) -> dict[str, SplitName]:
    """The split of a study at this site: drawn and saved the first time, the same ever after.

    What happens when the cohort changes while a study runs:

    - A new patient trains, from now on. Nobody joins validation or test, so that all rounds are scored alike.
    - With `plan.test_from`, a new patient treated on that day or later takes no part: such a patient may not train and
      does not join the test set. The answer lacks them.
    - A patient who is gone is left out of the answer and keeps the place in the file.
    - When half of the saved patients are gone, or a split has none left, the table is not the one that was split.

    Args:
        path: the split's file, one for each study and site.
        labels_by_patient: as for `split_patients`, of the patients that can take part now.
        plan: as for `split_patients`.
        seed: as for `split_patients`.
        treated_on: as for `split_patients`.

    Returns:
        Split of each patient who takes part.

    Raises:
        SplitUnusable: the file is damaged, was made with another plan or seed, or for another cohort.
        NotEnoughCases, ValueError: as for `split_patients`, when it is drawn.
    """
    if not path.exists():
        split_of = split_patients(labels_by_patient, plan, seed=seed, treated_on=treated_on)
        SavedSplit.of_splits(split_of, plan, seed=seed).save(path)
        return split_of
    saved = SavedSplit.load(path)
    if (saved.plan, saved.seed) != (plan, seed):
        raise SplitUnusable(
            f"{path}: drawn with another plan or seed than this study's",
            hint=f"give the study another name, or {_NEW_SPLIT}",
        )
    known = saved.split_of
    _refuse_another_cohort(path, known, labels_by_patient)
    joining = _joining(labels_by_patient, known, plan, treated_on or {})
    if joining:
        known = known | dict.fromkeys(joining, "train")
        SavedSplit.of_splits(known, plan, seed=seed).save(path)
    return {patient: known[patient] for patient in labels_by_patient if patient in known}


def _refuse_another_cohort(path: Path, known: Mapping[str, SplitName], present: Mapping[str, int]) -> None:
    gone = [patient for patient in known if patient not in present]
    left = {split for patient, split in known.items() if patient in present}
    if 2 * len(gone) >= len(known) or left != set(SPLITS):
        raise SplitUnusable(
            f"{path}: {len(gone)} of its {len(known)} patients are not among those that can take part now",
            hint=f"bring the case table of that time back and preprocess again, or {_NEW_SPLIT}",
        )
    if gone:
        log.warning("%d of %d patients of the saved split are gone and take no part", len(gone), len(known))


def _joining(
    present: Mapping[str, int], known: Mapping[str, SplitName], plan: SplitPlan, treated_on: Mapping[str, date]
) -> list[str]:
    """New patients who may train; a day that is not known may be a day of the test set."""
    new = [patient for patient in present if patient not in known]
    test_from = plan.test_from
    joining = [
        patient for patient in new if test_from is None or (patient in treated_on and treated_on[patient] < test_from)
    ]
    if new:
        log.warning(
            "%d patients are new since the split was drawn: %d train, %d take no part",
            len(new), len(joining), len(new) - len(joining),
        )  # fmt: skip
    return joining


def _hashed(
    kind: Literal["random", "date", "folds"], seed: int, plan: SplitPlan | None, parts: dict[str, tuple[str, ...]]
) -> SavedSplit:
    draft = SavedSplit(kind=kind, seed=seed, plan=plan, parts=parts, sha256="")
    return draft.model_copy(update={"sha256": _digest(draft.model_dump(mode="json"))})


def _digest(document: Mapping[str, object]) -> str:
    """Of the document as it is written, so that a key that a later version adds does not spoil it."""
    content = {key: value for key, value in document.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _sorted(patients: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(patients))


def _restore(path: Path) -> str:
    return f"bring {path.name} back from a backup, or {_NEW_SPLIT}"
