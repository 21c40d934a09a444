"""A study's folder and state, and when it is submitted again."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fpe_core.errors import ConfigValueInvalid, FederationError, QuorumLost
from fpe_server.app import RUN_LOCK
from fpe_server.federation import Federation
from fpe_server.locks import exclusive
from fpe_server.study_run import MAX_SUBMISSIONS, StudyRun
from fpe_server.study_state import newest_run_folder, prepare_run_folder, read_state

PLAN = "name: trial\ntask: fpe\nseed: 1\n"


class FakeControl:
    """The two answers of a SuperLink that matter here; the real one runs in tests/integration."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.stopped: list[int] = []
        self.end: str | None = None

    def start_run(self, options: dict[str, str]) -> int:
        self.started.append(options["run-folder"])
        self.end = None
        return len(self.started)

    def run_end(self, run_id: int) -> str | None:
        return self.end if run_id == len(self.started) else "unknown"

    def stop_run(self, run_id: int) -> None:
        self.stopped.append(run_id)


@pytest.fixture
def folder(federation: Federation, tmp_path: Path) -> Path:
    (tmp_path / "study.yaml").write_text(PLAN)
    return prepare_run_folder(federation, tmp_path / "study.yaml")[1]


def write_state(folder: Path, **values: object) -> None:
    state = {"status": "running", "round": 0, "rounds": 3, "sites": {}, "message": "", "code": None} | values
    (folder / "state.json").write_text(json.dumps(state))


def advance(run: StudyRun, control: FakeControl) -> bool:
    return run.advance(control, lambda _: None)  # type: ignore[arg-type]


def test_plan_is_copied_and_found_again(federation: Federation, folder: Path, tmp_path: Path) -> None:
    assert (folder / "study.yaml").read_text() == PLAN
    (tmp_path / "study.yaml").write_text(PLAN + "# a comment changes nothing\n")
    assert prepare_run_folder(federation, tmp_path / "study.yaml")[1] == folder
    assert newest_run_folder(federation) == folder
    assert read_state(folder).status == "waiting"


def test_other_plan_of_the_same_name_is_refused(federation: Federation, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(PLAN.replace("seed: 1", "seed: 2"))
    with pytest.raises(ConfigValueInvalid, match="another plan"):
        prepare_run_folder(federation, tmp_path / "study.yaml")
    assert (folder / "study.yaml").read_text() == PLAN


def test_damaged_state_is_named(folder: Path) -> None:
    (folder / "state.json").write_text("{")
    with pytest.raises(FederationError, match="damaged"):
        read_state(folder)


def test_study_that_finishes_is_over(folder: Path) -> None:
    run, control = StudyRun(folder), FakeControl()
    assert not advance(run, control)
    assert control.started == [str(folder)]
    write_state(folder)
    assert not advance(run, control)
    write_state(folder, status="finished", round=3)
    assert not advance(run, control)
    control.end = "completed"
    assert advance(run, control)


def test_failed_study_raises_its_own_error(folder: Path) -> None:
    run, control = StudyRun(folder), FakeControl()
    advance(run, control)
    write_state(folder, status="failed", code="FPE-601", message="one of two sites answered")
    control.end = "failed"
    with pytest.raises(QuorumLost, match="one of two"):
        advance(run, control)


def test_failed_study_is_tried_again_from_its_checkpoint(folder: Path) -> None:
    write_state(folder, status="failed", code="FPE-601", round=2)
    run, control = StudyRun(folder), FakeControl()
    assert not advance(run, control)
    assert (read_state(folder).status, read_state(folder).round) == ("waiting", 2)
    assert not advance(run, control)


def test_killed_server_app_is_noticed_by_its_lock(folder: Path) -> None:
    run, control = StudyRun(folder), FakeControl()
    advance(run, control)
    with exclusive(folder / RUN_LOCK):
        advance(run, control)
        assert len(control.started) == 1
    advance(run, control)
    assert control.stopped == [1]
    advance(run, control)
    assert len(control.started) == 2


def test_the_end_of_a_predecessor_is_not_taken_for_the_new_server_apps(folder: Path) -> None:
    code = (
        "import sys, pathlib; from fpe_server.locks import exclusive\n"
        "with exclusive(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    run, control = StudyRun(folder), FakeControl()
    words = [sys.executable, "-c", code, str(folder / RUN_LOCK)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as orphan:
        assert orphan.stdout is not None
        assert orphan.stdout.readline() == "held\n"
        advance(run, control)
        advance(run, control)
        orphan.communicate(timeout=10)
    advance(run, control)
    assert control.stopped == []
    with exclusive(folder / RUN_LOCK):
        advance(run, control)
    advance(run, control)
    assert control.stopped == [1]


def test_submissions_without_progress_are_bounded(folder: Path) -> None:
    run, control = StudyRun(folder), FakeControl()
    for _ in range(MAX_SUBMISSIONS):
        advance(run, control)
        control.end = "failed"
        advance(run, control)
    with pytest.raises(FederationError, match="in a row"):
        advance(run, control)
    assert len(control.started) == MAX_SUBMISSIONS


def test_progress_earns_new_submissions(folder: Path) -> None:
    run, control = StudyRun(folder), FakeControl()
    for round_number in range(3 * MAX_SUBMISSIONS):
        write_state(folder, round=round_number)
        advance(run, control)
        control.end = "failed"
        advance(run, control)
    assert len(control.started) == 3 * MAX_SUBMISSIONS
