"""A BIDS tree as a case table: one case for each subject, from one session.

FOLDER/sub-*/[ses-*/]{anat,dwi,perf,ct}/…_SUFFIX.nii.gz, participants.tsv, phenotype/*.tsv. Images may also lie in the
session's own folder. Suffixes are those of BIDS, and ncct and cta, which BIDS has no names for yet.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fpe_core.data.layouts.columns import clinical_cells, column_of
from fpe_core.data.layouts.diffusion import read_b_values, split_series
from fpe_core.data.layouts.files import check_volume_file, entities_of, image_shape, images_in, stem_of, suffix_of
from fpe_core.data.layouts.imported import FoundCase, Imported, Progress, each_case, note
from fpe_core.data.layouts.tables import SUFFIXES, Row, read_table
from fpe_core.errors import (
    CaseError,
    CaseHeaderIncomplete,
    CaseSequenceMissing,
    ImportFailed,
    RowTwice,
    RowValueOutOfRange,
)

COLUMN_OF_SUFFIX: Final[Mapping[str, str]] = {
    "flair": "flair", "dwi": "dwi", "trace": "dwi", "adc": "adc", "ct": "ncct", "ncct": "ncct", "cta": "cta",
}  # fmt: skip
_FOLDERS: Final = ("anat", "dwi", "perf", "ct")
_RAW_FOLDERS: Final = ("rawdata", "raw_data", "sourcedata")


@dataclass(frozen=True)
class _Clinic:
    """Cells by subject, and what was wrong with the tables."""

    rows: dict[str, Row]
    twice: frozenset[str]
    notes: tuple[str, ...]


def import_bids(folder: Path, out: Path, *, session: str | None = None, progress: Progress | None = None) -> Imported:
    """Find the cases of a BIDS tree. Only diffusion series in one file are converted; other images stay in place.

    Args:
        folder: the data set's root, or a folder that holds it under rawdata/.
        out: converted images go to `images/` in it.
        session: name of the session before treatment, with or without ses-; needed where subjects have several.
        progress: told about every subject.

    Raises:
        ImportFailed: no subject at all, or a participants.tsv that cannot be read or names no participant.
    """
    root = find_root(folder)
    subjects = [path for path in sorted(root.glob("sub-*")) if path.is_dir()]
    clinic = _clinic(root, {path.name for path in subjects})
    cases, left_out = each_case(subjects, lambda place: _case(root, place, session, clinic, out / "images"), progress)
    return Imported("bids", cases, left_out, clinic.notes, is_synthetic(root))


def find_root(folder: Path) -> Path:
    """The folder in which the subjects lie.

    Raises:
        ImportFailed: there is none, or several.
    """
    found = [path for path in (folder, *(folder / name for name in _RAW_FOLDERS)) if any(path.glob("sub-*/"))]
    if len(found) == 1:
        return found[0].resolve()
    if found:
        raise ImportFailed(
            f"{folder}: subjects lie in {' and in '.join(path.name for path in found)}", hint="give one of the folders"
        )
    near = sorted(path.parent.name for path in folder.glob("*/sub-*/"))
    hint = f"did you mean {folder / near[0]}?" if near else "give the root of the data set"
    raise ImportFailed(f"{folder}: expected a folder sub-NAME for each subject, got none", hint=hint)


def is_synthetic(root: Path) -> bool:
    """Whether the data set's own description says that its patients are phantoms (`"Synthetic": true`)."""
    try:
        description = json.loads((root / "dataset_description.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(description, dict) and description.get("Synthetic") is True


def check_identifier(name: str) -> None:
    """Refuse a folder's name that the case table could not hold.

    Raises:
        RowValueOutOfRange: other characters, or too long.
    """
    if not (name.replace("-", "").replace("_", "").replace(".", "").isalnum() and name.isascii() and len(name) <= 64):
        raise RowValueOutOfRange(
            f"{name!r}: a case's name has up to 64 letters, digits, dots, hyphens and underscores",
            hint="rename the subject's folder and files",
        )


def _case(root: Path, subject: Path, session: str | None, clinic: _Clinic, images: Path) -> FoundCase:
    check_identifier(subject.name)
    if subject.name in clinic.twice:
        raise RowTwice(
            f"{subject.name}: stands in participants.tsv twice, with different cells", hint="keep one of its lines"
        )
    place = _session(subject, session)
    case_id = subject.name if place == subject else f"{subject.name}_{place.name}"
    check_identifier(case_id)
    found, notes = _images(root, place, case_id, images)
    cells, empty = clinical_cells(clinic.rows.get(subject.name, {}))
    return FoundCase(case_id, subject.name, found, cells, tuple(notes + empty))


def _session(subject: Path, wanted: str | None) -> Path:
    """The folder of the one session before treatment."""
    sessions = sorted(path for path in subject.glob("ses-*") if path.is_dir())
    if wanted is not None:
        name = f"ses-{wanted.removeprefix('ses-')}"
        if name not in {path.name for path in sessions}:
            raise ImportFailed(f"{subject.name}: has no {name}, but {_listed(sessions)}")
        return subject / name
    if len(sessions) > 1:
        raise ImportFailed(
            f"{subject.name}: has several sessions, {_listed(sessions)}",
            hint="name the one before treatment by --session",
        )
    return sessions[0] if sessions else subject


def _listed(sessions: list[Path]) -> str:
    return ", ".join(path.name for path in sessions) or "no session"


def _images(root: Path, place: Path, case_id: str, out: Path) -> tuple[dict[str, Path], list[str]]:
    """Images by column, and a note on each that cannot be used.

    Raises:
        CaseSequenceMissing: there is none.
    """
    found: dict[str, Path] = {}
    notes: list[str] = []
    for suffix, path in _candidates(place, notes):
        try:
            if suffix == "dwi":
                added = _diffusion(root, path, out, case_id)
            else:
                check_volume_file(path)
                added = {COLUMN_OF_SUFFIX[suffix]: path}
        except CaseError as error:
            notes.append(note(suffix, error))
            continue
        both = sorted(set(added) & set(found))
        notes += [f"{column}: {found[column].name} is taken, not {added[column].name}" for column in both]
        found = added | found
    if not found:
        raise CaseSequenceMissing(
            f"{case_id}: no image can be used" + "".join(f"; {text}" for text in notes),
            hint=f"expected names ending in {', '.join(COLUMN_OF_SUFFIX)}",
        )
    return found, notes


def _candidates(place: Path, notes: list[str]) -> Iterator[tuple[str, Path]]:
    """One file for each suffix. Of several runs the last is taken, since one repeats what went wrong."""
    by_suffix: dict[str, list[Path]] = {}
    for folder in (*(place / name for name in _FOLDERS), place):
        for path in images_in(folder):
            by_suffix.setdefault(_kind(path), []).append(path)
    for suffix in COLUMN_OF_SUFFIX:
        paths = by_suffix.get(suffix, [])
        runs = {entities_of(path).get("run", "") for path in paths}
        others = {tuple(sorted((k, v) for k, v in entities_of(path).items() if k != "run")) for path in paths}
        if len(others) > 1 or len(runs) < len(paths):
            notes.append(f"{suffix}: empty, since {len(paths)} files could be it: {', '.join(p.name for p in paths)}")
        elif paths:
            last = max(paths, key=lambda path: (len(run := entities_of(path).get("run", "")), run))
            if len(paths) > 1:
                notes.append(f"{suffix}: the last of {len(paths)} runs, {last.name}")
            yield suffix, last


def _kind(path: Path) -> str:
    """The suffix; a CT that its entities call an angiography is a CTA, and another one with contrast is of no use."""
    suffix, entities = suffix_of(path), entities_of(path)
    acquisition = entities.get("acq", "").lower()
    if suffix != "ct":
        return suffix
    if "cta" in acquisition or "angio" in acquisition:
        return "cta"
    return "contrast" if "ce" in entities or "perf" in acquisition or "ctp" in acquisition else suffix


def _diffusion(root: Path, path: Path, out: Path, case_id: str) -> dict[str, Path]:
    """A single volume is a b1000 or trace image unless its b-value says b0; a series is split."""
    bval = _bval_of(root, path)
    if len(image_shape(path)) == 3:
        b_values = read_b_values(bval) if bval else (1000.0,)
        return {"b0" if max(b_values) <= 50 else "dwi": path}
    if bval is None:
        raise CaseHeaderIncomplete(f"{path}: several volumes, and no .bval file that says their b-values")
    return split_series(path, read_b_values(bval), out, case_id)


def _bval_of(root: Path, path: Path) -> Path | None:
    """The b-values beside the image, or further up where BIDS lets several images share them."""
    folder = path.parent
    mine = entities_of(path)
    while True:
        for candidate in sorted(folder.glob("*dwi.bval")):
            if suffix_of(candidate) == "dwi" and entities_of(candidate).items() <= mine.items():
                return candidate
        if folder == root or folder == folder.parent:
            return None
        folder = folder.parent


def _clinic(root: Path, subjects: set[str]) -> _Clinic:
    """participants.tsv and the tables of phenotype/, joined by participant_id."""
    rows: dict[str, Row] = {}
    twice: set[str] = set()
    notes: list[str] = []
    participants = root / "participants.tsv"
    if not participants.is_file():
        notes.append("participants.tsv: not there")
    tables = [participants] if participants.is_file() else []
    tables += sorted(path for path in (root / "phenotype").glob("*") if path.suffix.lower() in SUFFIXES)
    for path in tables:
        try:
            found = _by_participant(path)
        except ImportFailed as error:
            if path == participants:
                raise
            notes.append(f"{error} [{error.code}]")
            continue
        unknown = sum(name not in subjects for name in found)
        if unknown:
            notes.append(f"{stem_of(path)}: {unknown} participants have no folder")
        differing = {name for name, lines in found.items() if any(line != lines[0] for line in lines)}
        if path == participants:
            twice |= differing
        elif differing:
            notes.append(f"{stem_of(path)}: not used for {len(differing)} participants who have several lines in it")
        rows |= {name: {**lines[0], **rows.get(name, {})} for name, lines in found.items() if name not in differing}
    if rows and not any(column_of(header) for row in rows.values() for header in row):
        headers = sorted({header for row in rows.values() for header in row})
        notes.append(f"no clinical column is known among {', '.join(headers)}; see docs/cohort.md for the names")
    return _Clinic(rows, frozenset(twice), tuple(notes))


def _by_participant(path: Path) -> dict[str, list[Row]]:
    rows = read_table(path)
    if rows and "participant_id" not in rows[0]:
        raise ImportFailed(
            f"{path}: expected a column participant_id, got {', '.join(rows[0])}", hint="BIDS tables start with it"
        )
    found: dict[str, list[Row]] = {}
    for row in rows:
        name = f"sub-{row.get('participant_id', '').removeprefix('sub-')}"
        found.setdefault(name, []).append({header: cell for header, cell in row.items() if header != "participant_id"})
    return found
