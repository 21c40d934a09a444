"""A whole cohort: cases side by side, nothing computed twice, broken cases set aside.

OUT_DIR/
├── manifest.json          case id -> file, sha256, recipe, quality, seconds
├── quarantine.json        case id -> reason code, message
├── index.json             hashes of input files by path, size and time
├── cases/<key>.safetensors
├── qc/<key>.png
└── logs/<key>.log         traceback of a case that failed without a reason code of its own
"""

import difflib
import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fpe_core.config.recipe import PreprocessingRecipe
from fpe_core.data.duplicates import same_images
from fpe_core.errors import (
    CaseError,
    CaseFileMissing,
    CaseFileUnreadable,
    CaseProcessingFailed,
    CaseTableInvalid,
    ImageTwice,
)
from fpe_core.imaging.content import file_sha256
from fpe_core.preprocessing.cache import HashIndex, case_key
from fpe_core.preprocessing.case import CaseFiles
from fpe_core.preprocessing.crew import run_tasks
from fpe_core.preprocessing.manifest import (
    Manifest,
    ManifestEntry,
    Quarantine,
    QuarantineEntry,
    load_manifest,
    load_quarantine,
    read_manifest,
    read_quarantine,
    write_lists,
)
from fpe_core.preprocessing.memory import case_bytes, room_bytes
from fpe_core.preprocessing.processed import ProcessedCase, is_intact
from fpe_core.preprocessing.storage import INDEX, alone_in, storage_errors_told
from fpe_core.preprocessing.worker import Outcome, Task

__all__ = ["CohortReport", "Progress", "preprocess_cohort", "read_manifest", "read_quarantine"]

Progress = Callable[[int, int, str, str | None], None]
"""Called after each case with: cases done, cases in all, the case's id, and its reason code if it was set aside."""

_SAVE_EVERY_S = 5.0
_TRY_AGAIN = {CaseFileMissing.code, CaseProcessingFailed.code, ImageTwice.code}
"""Reasons that may be gone next time; the others follow from the files' content, which the key stands for."""


@dataclass(frozen=True)
class CohortReport:
    """How a run went.

    Attributes:
        done: cases preprocessed in this run.
        cached: cases that were ready.
        quarantined: error code of each case that was set aside, in this run or before.
        seconds: wall time of the run.
        left: cases that are still to do, because this run was told to do others only.
    """

    done: int
    cached: int
    quarantined: dict[str, str]
    seconds: float
    left: int = 0


@dataclass
class _Run:
    """State of one run: what is known already, and what comes out."""

    recipe: PreprocessingRecipe
    folder: Path
    index: HashIndex
    before: Manifest
    set_aside_before: Quarantine
    ready: dict[str, ManifestEntry] = field(default_factory=dict)
    set_aside: dict[str, QuarantineEntry] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, dict[str, str]] = field(default_factory=dict)
    done: int = 0
    left: int = 0
    saved_s: float = field(default_factory=time.monotonic)

    def path_of(self, key: str) -> Path:
        return self.folder / "cases" / f"{key}.safetensors"

    def picture_of(self, key: str) -> Path:
        return self.folder / "qc" / f"{key}.png"

    def save(self) -> None:
        manifest = Manifest(recipe=self.recipe.name, cases=dict(sorted(self.ready.items())))
        write_lists(self.folder, manifest, Quarantine(cases=dict(sorted(self.set_aside.items()))))
        self.index.save()
        self.saved_s = time.monotonic()


def preprocess_cohort(
    cases: Sequence[CaseFiles],
    recipe: PreprocessingRecipe,
    out_dir: Path,
    *,
    jobs: int,
    progress: Progress | None,
    only: Collection[str] = (),
    limit: int | None = None,
    case_deadline_s: float = 900.0,
) -> CohortReport:
    """Preprocess what is not there yet. A kill at any moment costs only the cases that were being worked on.

    Two cases with the same image are set aside, both: one of them has the other's.

    Args:
        cases: ids must differ.
        recipe: decides, with the files' content, the name of each output file.
        out_dir: made if missing; only one run at a time may use it.
        jobs: most worker processes, each on one thread; fewer work where memory does not suffice.
        progress: see `Progress`.
        only: ids of the cases to work on; none means all. What is known of the others stays in the lists.
        limit: most cases to work on.
        case_deadline_s: a case that takes longer is set aside, in seconds.

    Raises:
        CaseTableInvalid: two cases have the same id, or `only` names one that is not there.
        DataError: another run is at work in `out_dir`, its lists are damaged, or it cannot be written. Lists that were
            there before stay as they were until every case's images are known.
    """
    started = time.monotonic()
    _refuse_same_ids(cases)
    _refuse_unknown(only, cases)
    with storage_errors_told(out_dir):
        out_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with alone_in(out_dir):
            run = _Run(recipe, out_dir, HashIndex(out_dir / INDEX), load_manifest(out_dir), load_quarantine(out_dir))
            chosen = _chosen(run, _pending(run, cases, progress), only, limit)
            try:
                _work(run, chosen, jobs, progress, case_deadline_s)
            finally:
                run.save()
    codes = {case_id: entry.code for case_id, entry in run.set_aside.items()}
    return CohortReport(run.done, len(run.ready) - run.done, codes, time.monotonic() - started, run.left)


def _pending(run: _Run, cases: Sequence[CaseFiles], progress: Progress | None) -> list[CaseFiles]:
    """The cases that are neither ready nor set aside for good; the others go into the lists."""
    read = _all_hashed(run, cases)
    twice = same_images(run.inputs)
    for case_id, code in twice.items():
        message = "another case has the same image"
        run.set_aside[case_id] = QuarantineEntry(code=code, message=message, key=run.keys[case_id])
    pending = [files for files in read if files.case_id not in twice and not _known(run, files)]
    for done, case_id in enumerate([*run.ready, *run.set_aside], start=1):
        _tell(run, progress, done, len(cases), case_id)
    return pending


def _all_hashed(run: _Run, cases: Sequence[CaseFiles]) -> list[CaseFiles]:
    """The cases whose images can be read. Reading hundreds of GB is not begun again after a kill."""
    read = []
    for files in cases:
        if _hashed(run, files):
            read.append(files)
        if time.monotonic() - run.saved_s > _SAVE_EVERY_S:
            run.index.save(halfway=True)
            run.saved_s = time.monotonic()
    return read


def _chosen(run: _Run, pending: Sequence[CaseFiles], only: Collection[str], limit: int | None) -> list[CaseFiles]:
    """The cases to work on. Of the others those that once failed for an unknown reason keep their place in the list."""
    chosen = [files for files in pending if not only or files.case_id in only][:limit]
    run.left = len(pending) - len(chosen)
    names = {files.case_id for files in chosen}
    for case_id in (files.case_id for files in pending if files.case_id not in names):
        before = run.set_aside_before.cases.get(case_id)
        if before is not None and before.key == run.keys[case_id] and before.code == CaseProcessingFailed.code:
            run.set_aside[case_id] = before
    return chosen


def _work(run: _Run, chosen: Sequence[CaseFiles], jobs: int, progress: Progress | None, case_deadline_s: float) -> None:
    total = len(run.ready) + len(run.set_aside) + len(chosen)
    tasks = [_task(run, files) for files in chosen]
    for outcome in run_tasks(tasks, jobs=jobs, deadline_s=case_deadline_s, room_bytes=room_bytes()):
        _record(run, outcome)
        if time.monotonic() - run.saved_s > _SAVE_EVERY_S:
            run.save()
        _tell(run, progress, len(run.ready) + len(run.set_aside), total, outcome.case_id)


def _tell(run: _Run, progress: Progress | None, done: int, total: int, case_id: str) -> None:
    if progress is not None:
        entry = run.set_aside.get(case_id)
        progress(done, total, case_id, entry.code if entry else None)


def _hashed(run: _Run, files: CaseFiles) -> bool:
    """Whether the case's images can be read; their hashes and the case's key are noted."""
    try:
        inputs = {name: run.index.sha256(path) for name, path in files.for_recipe(run.recipe).items()}
    except CaseError as error:
        run.set_aside[files.case_id] = QuarantineEntry(code=error.code, message=str(error), key="")
        return False
    run.inputs[files.case_id] = inputs
    run.keys[files.case_id] = case_key(inputs, run.recipe)
    return True


def _known(run: _Run, files: CaseFiles) -> bool:
    """Whether the case is ready, or set aside for good; then it goes into the lists."""
    key = run.keys[files.case_id]
    before = run.set_aside_before.cases.get(files.case_id)
    if before is not None and before.key == key and before.code not in _TRY_AGAIN:
        run.set_aside[files.case_id] = before
        return True
    if not is_intact(run.path_of(key)) or not run.picture_of(key).is_file():
        return False
    try:
        run.ready[files.case_id] = _entry_of_cached(run, files.case_id, key)
    except CaseFileUnreadable:
        return False
    return True


def _entry_of_cached(run: _Run, case_id: str, key: str) -> ManifestEntry:
    """The manifest's own entry, or one made from the file when a kill came before the manifest was written."""
    path = run.path_of(key)
    entry = run.before.cases.get(case_id)
    if entry is not None and run.folder / entry.file == path:
        return entry
    provenance = ProcessedCase.load(path).provenance
    return _entry(run, case_id, file_sha256(path), provenance.qc, {})


def _entry(run: _Run, case_id: str, sha256: str, qc: dict[str, float], seconds: dict[str, float]) -> ManifestEntry:
    key = run.keys[case_id]
    return ManifestEntry(
        file=str(run.path_of(key).relative_to(run.folder)),
        sha256=sha256,
        recipe_fingerprint=run.recipe.fingerprint(),
        inputs=run.inputs[case_id],
        qc=qc,
        seconds=seconds,
    )


def _task(run: _Run, files: CaseFiles) -> Task:
    key = run.keys[files.case_id]
    return Task(
        files=files,
        recipe=run.recipe,
        case_path=run.path_of(key),
        picture_path=run.picture_of(key),
        log_path=run.folder / "logs" / f"{key}.log",
        memory_bytes=case_bytes(files.for_recipe(run.recipe).values(), run.recipe),
    )


def _record(run: _Run, outcome: Outcome) -> None:
    if outcome.storage_error:
        raise OSError(outcome.storage_error, os.strerror(outcome.storage_error))
    key = run.keys[outcome.case_id]
    if outcome.code is None:
        run.ready[outcome.case_id] = _entry(run, outcome.case_id, outcome.sha256, outcome.qc, outcome.seconds)
        run.done += 1
    else:
        entry = QuarantineEntry(code=outcome.code, message=outcome.message, key=key)
        run.set_aside[outcome.case_id] = entry


def _refuse_same_ids(cases: Sequence[CaseFiles]) -> None:
    seen: set[str] = set()
    for files in cases:
        if files.case_id in seen:
            raise CaseTableInvalid(f"the case id {files.case_id!r} stands in the table twice")
        seen.add(files.case_id)


def _refuse_unknown(only: Collection[str], cases: Sequence[CaseFiles]) -> None:
    known = [files.case_id for files in cases]
    for case_id in only:
        if case_id not in known:
            near = difflib.get_close_matches(case_id, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else "the column case_id of the case table has the names"
            raise CaseTableInvalid(f"no case of the table is called {case_id!r}", hint=hint)
