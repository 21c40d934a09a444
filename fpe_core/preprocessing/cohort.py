"""A whole cohort: cases side by side, nothing computed twice, broken cases set aside.

OUT_DIR/
├── manifest.json          case id -> file, sha256, recipe, quality, seconds
├── quarantine.json        case id -> reason code, message
├── index.json             hashes of input files by path, size and time
├── cases/<key>.safetensors
├── qc/<key>.png
└── logs/<key>.log         traceback of a case that failed without a reason code of its own
"""

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fpe_core.config.recipe import PreprocessingRecipe
from fpe_core.errors import CaseError, CaseFileMissing, CaseProcessingFailed, CaseTableInvalid, DataError
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
from fpe_core.preprocessing.processed import ProcessedCase, is_intact
from fpe_core.preprocessing.worker import Outcome, Task

__all__ = ["CohortReport", "Progress", "preprocess_cohort", "read_manifest", "read_quarantine"]

Progress = Callable[[int, int, str, str | None], None]
"""Called after each case with: cases done, cases in all, the case's id, and its reason code if it was set aside."""

_LOCK = ".lock"
_TRY_AGAIN = {CaseFileMissing.code, CaseProcessingFailed.code}
"""Reasons that may be gone next time; the others follow from the files' content, which the key stands for."""


@dataclass(frozen=True)
class CohortReport:
    """How a run went.

    Attributes:
        done: cases preprocessed in this run.
        cached: cases that were ready.
        quarantined: error code of each case that was set aside, in this run or before.
        seconds: wall time of the run.
    """

    done: int
    cached: int
    quarantined: dict[str, str]
    seconds: float


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
    done: int = 0

    def path_of(self, key: str) -> Path:
        return self.folder / "cases" / f"{key}.safetensors"

    def save(self) -> None:
        manifest = Manifest(recipe=self.recipe.name, cases=dict(sorted(self.ready.items())))
        write_lists(self.folder, manifest, Quarantine(cases=dict(sorted(self.set_aside.items()))))
        self.index.save()


def preprocess_cohort(
    cases: Sequence[CaseFiles],
    recipe: PreprocessingRecipe,
    out_dir: Path,
    *,
    jobs: int,
    progress: Progress | None,
    case_deadline_s: float = 900.0,
) -> CohortReport:
    """Preprocess what is not there yet. A kill at any moment costs only the cases that were being worked on.

    Args:
        cases: ids must differ.
        recipe: decides, with the files' content, the name of each output file.
        out_dir: made if missing; only one run at a time may use it.
        jobs: worker processes, each on one thread.
        progress: see `Progress`.
        case_deadline_s: a case that takes longer is set aside, in seconds.

    Raises:
        CaseTableInvalid: two cases have the same id.
        DataError: another run is at work in `out_dir`, or its lists are damaged.
    """
    started = time.monotonic()
    _refuse_same_ids(cases)
    out_dir.mkdir(parents=True, exist_ok=True)
    with _alone_in(out_dir):
        run = _Run(recipe, out_dir, HashIndex(out_dir / "index.json"), load_manifest(out_dir), load_quarantine(out_dir))
        try:
            _work(run, cases, jobs, progress, case_deadline_s)
        finally:
            run.save()
    codes = {case_id: entry.code for case_id, entry in run.set_aside.items()}
    return CohortReport(run.done, len(run.ready) - run.done, codes, time.monotonic() - started)


def _work(run: _Run, cases: Sequence[CaseFiles], jobs: int, progress: Progress | None, case_deadline_s: float) -> None:
    def tell(case_id: str) -> None:
        if progress is not None:
            entry = run.set_aside.get(case_id)
            progress(len(run.ready) + len(run.set_aside), len(cases), case_id, entry.code if entry else None)

    pending = []
    for files in cases:
        if _known(run, files):
            tell(files.case_id)
        else:
            pending.append(files)
    for outcome in run_tasks([_task(run, files) for files in pending], jobs=jobs, deadline_s=case_deadline_s):
        _record(run, outcome)
        tell(outcome.case_id)


def _known(run: _Run, files: CaseFiles) -> bool:
    """Whether the case is ready, or set aside for good; then it goes into the lists."""
    try:
        inputs = {name: run.index.sha256(path) for name, path in files.for_recipe(run.recipe).items()}
    except CaseError as error:
        run.set_aside[files.case_id] = QuarantineEntry(code=error.code, message=str(error), key="")
        return True
    key = run.keys[files.case_id] = case_key(inputs, run.recipe)
    before = run.set_aside_before.cases.get(files.case_id)
    if before is not None and before.key == key and before.code not in _TRY_AGAIN:
        run.set_aside[files.case_id] = before
        return True
    if not is_intact(run.path_of(key)):
        return False
    run.ready[files.case_id] = _entry_of_cached(run, files.case_id, key)
    return True


def _entry_of_cached(run: _Run, case_id: str, key: str) -> ManifestEntry:
    """The manifest's own entry, or one made from the file when a kill came before the manifest was written."""
    path = run.path_of(key)
    entry = run.before.cases.get(case_id)
    if entry is not None and run.folder / entry.file == path:
        return entry
    provenance = ProcessedCase.load(path).provenance
    return _entry(run, key, file_sha256(path), provenance.qc, {})


def _entry(run: _Run, key: str, sha256: str, qc: dict[str, float], seconds: dict[str, float]) -> ManifestEntry:
    return ManifestEntry(
        file=str(run.path_of(key).relative_to(run.folder)),
        sha256=sha256,
        recipe_fingerprint=run.recipe.fingerprint(),
        qc=qc,
        seconds=seconds,
    )


def _task(run: _Run, files: CaseFiles) -> Task:
    key = run.keys[files.case_id]
    return Task(
        files=files,
        recipe=run.recipe,
        case_path=run.path_of(key),
        picture_path=run.folder / "qc" / f"{key}.png",
        log_path=run.folder / "logs" / f"{key}.log",
    )


def _record(run: _Run, outcome: Outcome) -> None:
    key = run.keys[outcome.case_id]
    if outcome.code is None:
        run.ready[outcome.case_id] = _entry(run, key, outcome.sha256, outcome.qc, outcome.seconds)
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


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system lets go when the process dies, and clear what a killed run left."""
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"another run is preprocessing into {folder}", hint="wait for it, or stop it") from None
        for leftover in folder.rglob(".*"):
            if leftover.name != _LOCK:
                leftover.unlink(missing_ok=True)
        yield
