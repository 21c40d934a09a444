"""Cohorts: quarantine, cache, and what is left after a kill."""

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from fpe_core.config.recipe import recipe_named
from fpe_core.errors import CaseTableInvalid, DataError
from fpe_core.imaging.content import file_sha256
from fpe_core.imaging.nifti import write_volume
from fpe_core.imaging.volume import Volume
from fpe_core.preprocessing import crew, worker
from fpe_core.preprocessing.cache import HashIndex, case_key
from fpe_core.preprocessing.case import CaseFiles
from fpe_core.preprocessing.cohort import preprocess_cohort, read_manifest, read_quarantine
from fpe_core.preprocessing.crew import run_tasks
from fpe_core.preprocessing.decisions import decide, load_decisions
from fpe_core.preprocessing.forget import forget_others
from fpe_core.preprocessing.manifest import Manifest, ManifestEntry, Quarantine, QuarantineEntry, write_lists
from fpe_core.preprocessing.processed import ProcessedCase
from fpe_core.preprocessing.storage import alone_in
from fpe_core.preprocessing.worker import Task, run_task

MR = recipe_named("mnt-dl-mr-small")


@pytest.fixture
def good(scanner, tmp_path) -> Path:
    return scanner.save(tmp_path / "good.nii.gz", "dwi", spacing_mm=(4.0, 4.0, 6.0))


def broken_cases(good: Path, folder: Path) -> dict[str, tuple[Path, str]]:
    """One file for each way in which a case can be broken, and its reason code."""
    scan = nibabel.load(good)
    data = np.asarray(scan.dataobj, dtype=np.float32)

    def save(name: str, values: np.ndarray, affine=scan.affine) -> Path:
        nibabel.save(nibabel.Nifti1Image(values, affine), folder / f"{name}.nii.gz")
        return folder / f"{name}.nii.gz"

    hole = data.copy()
    hole[9, 9, 9] = np.nan
    truncated = folder / "truncated.nii.gz"
    truncated.write_bytes(good.read_bytes()[:2000])
    return {
        "missing": (folder / "nowhere.nii.gz", "FPE-211"),
        "truncated": (truncated, "FPE-212"),
        "four-d": (save("four-d", np.stack([data, data], -1)), "FPE-213"),
        "empty": (save("empty", np.zeros_like(data)), "FPE-214"),
        "nan": (save("nan", hole), "FPE-215"),
        "tiny": (save("tiny", data, scan.affine @ np.diag([0.02, 0.02, 0.02, 1])), "FPE-216"),
        "ct-as-mr": (save("ct-as-mr", np.where(data > 100, 35, -1000).astype(np.float32)), "FPE-217"),
    }


@pytest.mark.integration
def test_broken_cases_are_set_aside_with_their_reason_and_a_second_run_computes_nothing(good, tmp_path):
    broken = broken_cases(good, tmp_path)
    cases = [CaseFiles(name, {"dwi": path}) for name, (path, _) in broken.items()]
    cases += [CaseFiles("good", {"dwi": good}), CaseFiles("only-ct", {"ncct": good})]
    calls = []
    out = tmp_path / "out"
    report = preprocess_cohort(cases, MR, out, jobs=1, progress=lambda *call: calls.append(call))
    expected = {name: code for name, (_, code) in broken.items()} | {"only-ct": "FPE-218"}
    assert report.quarantined == read_quarantine(out) == expected
    assert (report.done, report.cached) == (1, 0)
    assert [call[0] for call in calls] == list(range(1, len(cases) + 1))
    assert {call[2]: call[3] for call in calls} == {**expected, "good": None}

    entry = json.loads((out / "manifest.json").read_text())["cases"]["good"]
    file = read_manifest(out, MR)["good"]
    assert file_sha256(file) == entry["sha256"]
    assert ProcessedCase.load(file).provenance.recipe_fingerprint == entry["recipe_fingerprint"]
    assert (out / "qc" / f"{file.stem}.png").stat().st_size > 10_000
    assert read_manifest(out, recipe_named("mnt-dl-mr")) == {}

    written = file.stat().st_mtime_ns
    again = preprocess_cohort(cases, MR, out, jobs=1, progress=None)
    assert (again.done, again.cached, again.quarantined) == (0, 1, expected)
    assert file.stat().st_mtime_ns == written
    assert again.seconds < 0.5


@pytest.mark.integration
def test_other_content_is_another_file_and_a_lost_file_is_made_again(good, scanner, tmp_path):
    out = tmp_path / "out"
    cases = [CaseFiles("a", {"dwi": good})]
    preprocess_cohort(cases, MR, out, jobs=1, progress=None)
    first = read_manifest(out, MR)["a"]
    content = first.read_bytes()
    first.write_bytes(content[:1000])
    assert preprocess_cohort(cases, MR, out, jobs=1, progress=None).done == 1
    assert first.read_bytes() == content
    scanner.save(good, "dwi", spacing_mm=(4.0, 4.0, 6.0), seed=1)
    assert preprocess_cohort(cases, MR, out, jobs=1, progress=None).done == 1
    assert read_manifest(out, MR)["a"] != first


@pytest.mark.integration
def test_a_limit_and_chosen_cases_leave_the_others_for_later_and_in_the_lists(scanner, tmp_path):
    out = tmp_path / "out"
    paths = {
        name: scanner.save(tmp_path / f"{name}.nii.gz", "dwi", spacing_mm=(4.0, 4.0, 6.0), seed=number)
        for number, name in enumerate("abc")
    }
    cases = [CaseFiles(name, {"dwi": path}) for name, path in paths.items()]
    first = preprocess_cohort(cases, MR, out, jobs=1, progress=None, limit=1)
    assert (first.done, first.cached, first.left, set(read_manifest(out, MR))) == (1, 0, 2, {"a"})
    second = preprocess_cohort(cases, MR, out, jobs=1, progress=None, only=["c", "a"])
    assert (second.done, second.cached, second.left, set(read_manifest(out, MR))) == (1, 1, 1, {"a", "c"})
    with pytest.raises(CaseTableInvalid, match="called 'bb'") as refused:
        preprocess_cohort(cases, MR, out, jobs=1, progress=None, only=["bb"])
    assert "'b'" in refused.value.hint
    inputs = json.loads((out / "manifest.json").read_text())["cases"]["a"]["inputs"]
    assert inputs == {"dwi": file_sha256(paths["a"])}


@pytest.mark.integration
def test_what_was_made_from_a_case_that_left_the_table_is_forgotten(scanner, tmp_path):
    out = tmp_path / "out"
    paths = {
        name: scanner.save(tmp_path / f"{name}.nii.gz", "dwi", spacing_mm=(4.0, 4.0, 6.0), seed=number)
        for number, name in enumerate(("stays", "leaves"))
    }
    cases = [CaseFiles(name, {"dwi": path}) for name, path in paths.items()]
    preprocess_cohort(cases, MR, out, jobs=2, progress=None)
    decide(out, ["stays", "leaves"], accepted=True, reason="fine")
    key = read_manifest(out, MR)["leaves"].stem
    assert forget_others(out) == 0
    preprocess_cohort(cases[:1], MR, out, jobs=1, progress=None)
    assert forget_others(out) == 2
    left = [path for path in out.rglob("*") if path.is_file() and key in path.name + path.read_text("latin-1")]
    # The index of hashes knows files of the table only; the case's content key is nowhere any more.
    assert left == []
    assert list(read_manifest(out, MR)) == ["stays"]
    assert [decision.case_id for decision in load_decisions(out).cases.values()] == ["stays"]

    hidden = paths["stays"].rename(tmp_path / "elsewhere.nii.gz")
    preprocess_cohort(cases[:1], MR, out, jobs=1, progress=None)
    with pytest.raises(DataError, match="1 listed cases could not be read"):
        forget_others(out)
    assert len(list((out / "cases").glob("*.safetensors"))) == 1
    hidden.rename(paths["stays"])


def test_two_cases_with_one_image_are_both_set_aside(good, tmp_path):
    copy = tmp_path / "copy.nii.gz"
    copy.write_bytes(good.read_bytes())
    cases = [CaseFiles("a", {"dwi": good}), CaseFiles("b", {"dwi": copy})]
    report = preprocess_cohort(cases, MR, tmp_path / "out", jobs=1, progress=None)
    assert (report.done, report.quarantined) == (0, {"a": "FPE-236", "b": "FPE-236"})
    corrected = preprocess_cohort([cases[0]], MR, tmp_path / "out", jobs=1, progress=None)
    assert (corrected.done, corrected.quarantined) == (1, {})


SCRIPT = """
    import multiprocessing
    import sys
    from pathlib import Path
    from fpe_core.config.recipe import recipe_named
    from fpe_core.preprocessing.case import CaseFiles
    from fpe_core.preprocessing.cohort import preprocess_cohort

    def say(done, total, case_id, code):
        print(case_id, code, *(worker.pid for worker in multiprocessing.active_children()), flush=True)

    if __name__ == "__main__":
        cases = [CaseFiles(path.stem, {"dwi": path}) for path in sorted(Path(sys.argv[1]).glob("*.nii.gz"))]
        report = preprocess_cohort(cases, recipe_named("mnt-dl-mr-small"), Path(sys.argv[2]), jobs=1, progress=say)
        print("report", report.done, report.cached, len(report.quarantined))
"""


def gone(pid: int, *, patience_s: float) -> bool:
    """Whether a process ends in time; a dead one that nobody has collected yet counts."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.integration
def test_after_ctrl_c_or_a_kill_only_the_case_in_flight_is_lost_and_no_process_is_left(scanner, tmp_path):
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    for number in range(4):
        scanner.save(scans / f"case-{number}.nii.gz", "dwi", spacing_mm=(4.0, 4.0, 6.0), seed=number)
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, str(script), str(scans), str(out)]

    def stopped_after_a_case(kill: Callable[[int], None]) -> tuple[str, str]:
        """The case that a worker had just finished, and the runner's last words."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, start_new_session=True, **pipes) as runner:
            assert runner.stdout is not None
            assert runner.stderr is not None
            # A case that was there already is told while no worker lives. The one in flight at the kill may be: on a
            # busy machine its worker finishes before it is stopped.
            said = (text.split() for text in runner.stdout)
            case_id, code, worker_pid = next(words for words in said if len(words) == 3)
            assert code == "None"
            kill(runner.pid)
            assert gone(int(worker_pid), patience_s=10)
            return case_id, runner.stderr.read()

    first, words = stopped_after_a_case(lambda pid: os.killpg(pid, signal.SIGINT))
    assert first == "case-0.nii"
    assert words.count("Traceback") == words.count("KeyboardInterrupt") == 1
    assert set(read_manifest(out, MR)) == {"case-0.nii"}
    second, _ = stopped_after_a_case(lambda pid: os.kill(pid, signal.SIGKILL))
    (out / "cases" / ".half-a-file.safetensors.abcd_012").write_bytes(b"left by a kill in the middle of a write")
    last = subprocess.run(command, capture_output=True, text=True, check=True)
    done, cached, quarantined = map(int, last.stdout.split("report ")[1].split())
    assert done + cached == 4
    assert cached > int(second.removeprefix("case-").removesuffix(".nii"))  # it and all before it
    assert quarantined == 0
    assert [path.name for path in out.rglob(".*")] == [".lock"]
    files = {path.name for path in (out / "cases").iterdir()}
    assert files == {path.name for path in read_manifest(out, MR).values()}
    assert len(files) == 4


def test_leftovers_of_the_lists_and_cases_go_and_what_others_keep_there_stays(tmp_path):
    mine = [".manifest.json.abcdefgh", "cases/.k.safetensors.abcdefgh", "qc/.k.png.abcdefgh", "logs/.k.log.abcdefgh"]
    others = [".qc-decisions.json.abcdefgh", ".review.html.abcdefgh", ".lock", "cases/.nfs.00000001"]
    for name in (*mine, *others):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".snapshot").mkdir()
    with alone_in(tmp_path):
        assert [name for name in (*mine, *others) if (tmp_path / name).exists()] == others
        with pytest.raises(DataError, match="another run"), alone_in(tmp_path):
            pass


@pytest.mark.integration
def test_a_full_disk_ends_the_run_with_one_sentence_and_nothing_half_written(good, tmp_path):
    out = tmp_path / "out"
    cases = [CaseFiles("a", {"dwi": good})]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(DataError, match="File too large") as caught:
            preprocess_cohort(cases, MR, out, jobs=1, progress=None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "free space" in caught.value.hint
    assert list((out / "cases").iterdir()) == []
    assert (read_manifest(out, MR), read_quarantine(out)) == ({}, {})
    assert preprocess_cohort(cases, MR, out, jobs=1, progress=None).done == 1
    (picture,) = (out / "qc").iterdir()
    drawn = picture.read_bytes()
    picture.unlink()
    assert preprocess_cohort(cases, MR, out, jobs=1, progress=None).done == 1
    assert picture.read_bytes() == drawn
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.rglob("*") if path.is_file()} == {0o600}


def test_ctrl_c_while_images_are_hashed_leaves_the_lists_as_they_were(good, tmp_path, monkeypatch):
    out = tmp_path / "out"
    entry = ManifestEntry(file="cases/x", sha256="", recipe_fingerprint="", qc={}, seconds={})
    write_lists(out, Manifest(cases={"a": entry}), Quarantine())
    before = (out / "manifest.json").read_bytes()

    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(HashIndex, "sha256", interrupted)
    with pytest.raises(KeyboardInterrupt):
        preprocess_cohort([CaseFiles("a", {"dwi": good})], MR, out, jobs=1, progress=None)
    assert (out / "manifest.json").read_bytes() == before


def test_a_case_that_failed_for_an_unknown_reason_stays_in_the_list_until_it_is_tried_again(good, tmp_path):
    other = tmp_path / "other.nii.gz"
    other.write_bytes(b"not an image")
    key = case_key({"dwi": file_sha256(other)}, MR)
    write_lists(tmp_path, Manifest(), Quarantine(cases={"b": QuarantineEntry(code="FPE-221", message="", key=key)}))
    cases = [CaseFiles("a", {"dwi": tmp_path / "nowhere"}), CaseFiles("b", {"dwi": other})]
    report = preprocess_cohort(cases, MR, tmp_path, jobs=1, progress=None, only=["a"])
    assert (report.left, report.quarantined) == (1, {"a": "FPE-211", "b": "FPE-221"})
    assert preprocess_cohort(cases, MR, tmp_path, jobs=1, progress=None).quarantined["b"] == "FPE-212"


def task_for(case_id: str, path: Path, folder: Path) -> Task:
    names = [folder / f"{case_id}{ending}" for ending in (".safetensors", ".png", ".log")]
    return Task(CaseFiles(case_id, {"dwi": path}), MR, *names)


def die_or_answer(connection) -> None:
    """A worker that is killed by some cases, hangs in others, and answers the rest."""
    while True:
        try:
            case_id = connection.recv().files.case_id
        except EOFError:
            return
        if case_id == "fatal":
            os.kill(os.getpid(), signal.SIGKILL)
        if case_id == "endless":
            time.sleep(60)
        connection.send(worker.Outcome(case_id))


@pytest.mark.integration
def test_a_worker_that_dies_or_hangs_costs_its_own_case_only(monkeypatch, tmp_path):
    monkeypatch.setattr(crew, "serve", die_or_answer)
    tasks = [task_for(name, tmp_path, tmp_path) for name in ("a", "fatal", "b", "endless", "c")]
    started = time.monotonic()
    outcomes = {outcome.case_id: outcome for outcome in run_tasks(tasks, jobs=1, deadline_s=4.0)}
    assert {name: outcome.code for name, outcome in outcomes.items()} == {
        "a": None,
        "fatal": "FPE-221",
        "b": None,
        "endless": "FPE-221",
        "c": None,
    }
    assert "code -9" in outcomes["fatal"].message
    assert "longer than" in outcomes["endless"].message
    assert time.monotonic() - started < 30


def test_an_unexpected_error_goes_to_a_local_log_only(monkeypatch, tmp_path, good):
    import fpe_core.preprocessing.qc as qc

    def fail(*_: object) -> None:
        raise ZeroDivisionError("patient Smith")

    monkeypatch.setattr(qc, "write_qc_picture", fail)
    outcome = run_task(task_for("a", good, tmp_path))
    assert outcome.code == "FPE-221"
    assert "Smith" not in outcome.message
    assert "patient Smith" in (tmp_path / "a.log").read_text()


def test_same_ids_and_a_busy_folder_are_refused(good, tmp_path):
    import fcntl

    twice = [CaseFiles("a", {"dwi": good})] * 2
    with pytest.raises(CaseTableInvalid, match="twice"):
        preprocess_cohort(twice, MR, tmp_path / "out", jobs=1, progress=None)
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another run"):
            preprocess_cohort(twice[:1], MR, tmp_path / "out", jobs=1, progress=None)


def test_the_index_notices_changes_and_mistrusts_fresh_files(tmp_path):
    path, index_path = tmp_path / "scan", tmp_path / "index.json"
    path.write_bytes(b"one")
    index = HashIndex(index_path)
    one = index.sha256(path)
    index.save()
    assert json.loads(index_path.read_text()) == {}
    os.utime(path, (1e9, 1e9))
    index.sha256(path)
    index.save()
    assert list(json.loads(index_path.read_text()).values()) == [one]
    path.write_bytes(b"two")
    assert HashIndex(index_path).sha256(path) != one
    halfway = HashIndex(index_path)
    halfway.save(halfway=True)
    assert list(json.loads(index_path.read_text()).values()) == [one]
    index_path.write_text("damaged")
    assert HashIndex(index_path).sha256(path) == file_sha256(path)


def test_an_index_entry_spares_reading_the_file(tmp_path):
    path, index_path = tmp_path / "scan", tmp_path / "index.json"
    write_volume(Volume(np.ones((4, 4, 4), np.float32), np.eye(4)), tmp_path / "a.nii")
    path.write_bytes(b"one")
    os.utime(path, (1e9, 1e9))
    status = path.stat()
    index_path.write_text(json.dumps({f"{path}|{status.st_size}|{status.st_mtime_ns}": "known"}))
    assert HashIndex(index_path).sha256(path) == "known"
