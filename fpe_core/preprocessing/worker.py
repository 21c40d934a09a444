"""A worker process of a cohort: takes a case from its pipe, writes its file and picture, answers with what happened.

It dies with its runner, so that nothing goes on after that was killed. Ctrl-C, which a terminal sends to all processes,
is the runner's to answer.
"""

import ctypes
import errno
import hashlib
import signal
import sys
import traceback
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path

from fpe_core.config.recipe import PreprocessingRecipe
from fpe_core.errors import CaseError, CaseProcessingFailed
from fpe_core.preprocessing.case import CaseFiles

_PR_SET_PDEATHSIG = 1
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Task:
    """One case to do: where its file, its picture and, after an unexpected error, its traceback go; and the memory that
    it may take, in bytes."""

    files: CaseFiles
    recipe: PreprocessingRecipe
    case_path: Path
    picture_path: Path
    log_path: Path
    memory_bytes: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of a case: the code of the reason when it is quarantined, else what stands in its file.

    `storage_error` is the system's error number when the case could not be written; that says nothing about the case,
    and the next one would meet the same.
    """

    case_id: str
    code: str | None = None
    message: str = ""
    sha256: str = ""
    qc: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    storage_error: int = 0


def serve(connection: Connection) -> None:
    """Answer tasks until the runner closes the pipe or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_runner()
    while True:
        try:
            task: Task = connection.recv()
            connection.send(run_task(task))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


def _die_with_runner() -> None:
    """Ask the kernel for SIGKILL when the runner goes; elsewhere than on Linux the case in work is finished first."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def run_task(task: Task) -> Outcome:
    """Preprocess one case. Every error becomes an outcome; the others of the cohort go on."""
    try:
        return _preprocess(task)
    except CaseError as error:
        return Outcome(task.files.case_id, error.code, str(error))
    except Exception as error:  # noqa: BLE001 (process boundary: one case must not stop a cohort; the traceback stays at the site)
        return _unexpected(task, error)


def _unexpected(task: Task, error: Exception) -> Outcome:
    from fpe_core.preprocessing.processed import write_private

    outcome = Outcome(task.files.case_id, CaseProcessingFailed.code, CaseProcessingFailed.safe_sentence)
    if isinstance(error, OSError) and error.errno in _FULL:
        return replace(outcome, storage_error=error.errno)
    try:
        write_private(task.log_path, "".join(traceback.format_exception(error)).encode())
    except OSError as unwritten:
        return replace(outcome, storage_error=unwritten.errno or errno.EIO)
    return outcome


def _preprocess(task: Task) -> Outcome:
    from fpe_core.preprocessing.case import preprocess_case
    from fpe_core.preprocessing.processed import write_private
    from fpe_core.preprocessing.qc import write_qc_picture

    case = preprocess_case(task.files, task.recipe)
    content = case.to_bytes()
    try:
        write_qc_picture(case, task.picture_path)
        write_private(task.case_path, content)
    except OSError as error:
        return Outcome(task.files.case_id, CaseProcessingFailed.code, storage_error=error.errno or errno.EIO)
    sha256 = hashlib.sha256(content).hexdigest()
    return Outcome(task.files.case_id, None, "", sha256, case.provenance.qc, case.seconds)
