"""A worker process of a cohort: takes a case from its pipe, writes its file and picture, answers with what happened.

It ends when the other end of the pipe is gone, so that nothing goes on after the runner was killed.
"""

import hashlib
import traceback
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from fpe_core.config.recipe import PreprocessingRecipe
from fpe_core.errors import CaseError, CaseProcessingFailed
from fpe_core.preprocessing.case import CaseFiles


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
    """What became of a case: the code of the reason when it is quarantined, else what stands in its file."""

    case_id: str
    code: str | None = None
    message: str = ""
    sha256: str = ""
    qc: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def serve(connection: Connection) -> None:
    """Answer tasks until the runner closes the pipe or is gone."""
    while True:
        try:
            task: Task = connection.recv()
            connection.send(run_task(task))
        except (EOFError, BrokenPipeError, KeyboardInterrupt):
            return


def run_task(task: Task) -> Outcome:
    """Preprocess one case. Every error becomes an outcome; the others of the cohort go on."""
    try:
        return _preprocess(task)
    except CaseError as error:
        return Outcome(task.files.case_id, error.code, str(error))
    except Exception:  # noqa: BLE001 (process boundary: one case must not stop a cohort; the traceback stays at the site)
        task.log_path.parent.mkdir(parents=True, exist_ok=True)
        task.log_path.write_text(traceback.format_exc(), encoding="utf-8")
        return Outcome(task.files.case_id, CaseProcessingFailed.code, CaseProcessingFailed.safe_sentence)


def _preprocess(task: Task) -> Outcome:
    from fpe_core.preprocessing.case import preprocess_case
    from fpe_core.preprocessing.processed import write_private
    from fpe_core.preprocessing.qc import write_qc_picture

    case = preprocess_case(task.files, task.recipe)
    write_qc_picture(case, task.picture_path)
    content = case.to_bytes()
    write_private(task.case_path, content)
    sha256 = hashlib.sha256(content).hexdigest()
    return Outcome(task.files.case_id, None, "", sha256, case.provenance.qc, case.seconds)
