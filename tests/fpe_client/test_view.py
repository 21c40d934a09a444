"""What a person sees, on a terminal and in a log."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from fpe_client import view
from fpe_client.frames import Step
from fpe_client.view import View
from fpe_client.work_state import Work, WorkFile, read_work
from fpe_core.config.study import StudyPlan
from fpe_core.protocol import Kind, RequestHeader

WORK = Work(10, True, "train", "pilot", 3, 10, Step("train", 5, 20))
DONE = replace(WORK, active=False, step=Step("done", 1, 1), outcome="passed")


def shown(*states: Work | None, terminal: bool = False) -> str:
    stream = io.StringIO()
    display = View(Console(file=stream, force_terminal=terminal, width=100))
    for state in states:
        display.work(state)
    display.close()
    return stream.getvalue()


def test_a_log_gets_one_line_for_each_stage_and_end() -> None:
    evaluating = replace(WORK, step=Step("evaluate", 1, 4))
    waiting = replace(WORK, step=Step("waiting", 0, 0))
    lines = shown(
        waiting, evaluating, replace(evaluating, step=Step("evaluate", 2, 4)), WORK, WORK, DONE, DONE
    ).splitlines()
    assert [line[9:] for line in lines] == [
        "round 3/10 of pilot: evaluate 1/4",
        "round 3/10 of pilot: train 5/20",
        "round 3/10 of pilot: answered",
    ]


def test_a_long_stage_is_heard_of_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(view.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    display = View(Console(file=stream))
    for done in range(5):
        display.work(replace(WORK, step=Step("train", done, 20)))
        now[0] += 6
    assert [line[-4:] for line in stream.getvalue().splitlines()] == ["0/20", "2/20", "4/20"]


def test_a_failure_is_named_by_its_code() -> None:
    assert "answered with FPE-401" in shown(WORK, replace(DONE, outcome="FPE-401"))


def test_what_ended_before_is_not_told() -> None:
    assert shown(DONE) == ""
    assert shown(None) == ""


def test_work_outside_rounds_is_named_by_its_kind() -> None:
    assert "alone for pilot: train 5/20" in shown(replace(WORK, kind="alone", round_number=0))


def test_a_terminal_gets_a_bar() -> None:
    text = shown(WORK, replace(WORK, step=Step("train", 20, 20)), terminal=True)
    assert "round 3/10 of pilot" in text
    assert "20/20" in text


def test_texts_are_not_read_as_markup() -> None:
    stream = io.StringIO()
    View(Console(file=stream)).say("[red]a[/red] [FPE-100]")
    assert stream.getvalue().rstrip().endswith("[red]a[/red] [FPE-100]")


def test_the_work_file_is_written_at_both_ends_and_seldom_between(tmp_path: Path) -> None:
    header = RequestHeader(
        kind=Kind.TRAIN, plan=StudyPlan(name="pilot", task="fpe", seed=1), round_number=3, layout="[]"
    )
    path = tmp_path / "work.json"
    file = WorkFile(path, header)
    seen = []
    for done in range(100):
        file.step(Step("train", done, 100))
        work = read_work(path)
        assert work is not None
        seen.append(work.step.done)
    assert len(set(seen)) < 5
    file.done("passed")
    last = read_work(path)
    assert last is not None
    assert (last.active, last.outcome, last.round_number, last.num_rounds) == (False, "passed", 3, 10)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"step": 3}'])
def test_a_broken_work_file_is_no_work(tmp_path: Path, text: str) -> None:
    (tmp_path / "work.json").write_text(text)
    assert read_work(tmp_path / "work.json") is None
    assert read_work(tmp_path / "missing") is None
