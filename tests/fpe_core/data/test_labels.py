from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from fpe_core.config.study import Task
from fpe_core.data import labels
from fpe_core.data.case_table import CaseRow
from fpe_core.data.labels import (
    OUTCOME_GRID,
    definition_of,
    fpe,
    label_fingerprint,
    label_of,
    recanalization,
    rlvo,
    truth_table,
)

TASKS: tuple[Task, ...] = ("fpe", "recanalization", "rlvo")


def row(**outcome: Any) -> CaseRow:
    return CaseRow.model_validate({"case_id": "c", "patient_id": "p", "images": {}, **outcome})


@pytest.mark.parametrize(
    ("outcome", "label"),
    [
        ({"num_passes": 1, "mtici_after_first_pass": "2b"}, 1),
        ({"num_passes": 3, "mtici_after_first_pass": "2a", "final_mtici": "3"}, 0),
        ({"num_passes": 2, "mtici_after_first_pass": "2b", "final_mtici": "3"}, 1),
        ({"num_passes": 1, "final_mtici": "2c"}, 1),
        ({"num_passes": 1, "final_mtici": "2a"}, 0),
        ({"num_passes": 2, "final_mtici": "3"}, 0),
        ({"num_passes": 2}, 0),
        ({"final_mtici": "1"}, 0),
        ({"final_mtici": "3"}, None),
        ({"num_passes": 1}, None),
        ({"num_passes": 0, "final_mtici": "0"}, None),
        ({}, None),
    ],
)
def test_fpe(outcome: dict[str, Any], label: int | None) -> None:
    assert label_of("fpe", row(**outcome)) == label


@pytest.mark.parametrize(
    ("grade", "label"), [("0", 0), ("1", 0), ("2a", 0), ("2b", 0), ("2c", 1), ("3", 1), (None, None)]
)
def test_recanalization(grade: str | None, label: int | None) -> None:
    assert label_of("recanalization", row(final_mtici=grade)) == label


@pytest.mark.parametrize(
    ("stenosis", "grade", "rescue", "label"),
    [
        (10, "3", False, 0),
        (50, "2b", False, 0),
        (51, "3", False, 1),
        (10, "2a", False, 1),
        (10, "3", True, 1),
        (None, "2a", None, 1),
        (70, None, None, 1),
        (None, "3", False, None),
        (10, None, False, None),
        (10, "3", None, None),
    ],
)
def test_rlvo(stenosis: float | None, grade: str | None, rescue: bool | None, label: int | None) -> None:
    assert label_of("rlvo", row(stenosis_percent=stenosis, final_mtici=grade, rescue_treatment=rescue)) == label


def test_fingerprints_differ_between_tasks() -> None:
    assert len({label_fingerprint(task) for task in TASKS}) == len(TASKS)
    assert all(len(label_fingerprint(task)) == 64 for task in TASKS)


def test_definitions_are_pinned() -> None:
    # A changed definition is another label: sites on different releases must then refuse each other.
    assert label_fingerprint("fpe").startswith("8bef9871b7fe5e2b")
    assert label_fingerprint("recanalization").startswith("60ad56604e0eff8e")
    assert label_fingerprint("rlvo").startswith("b1b24ba1b40d6edd")


@pytest.mark.parametrize("task", TASKS)
def test_the_truth_table_is_the_function(task: Task) -> None:
    answers = truth_table(task)
    combinations = list(product(*OUTCOME_GRID.values()))
    assert len(answers) == len(combinations) == 4410
    for place in range(0, len(answers), 97):
        label = label_of(task, row(**dict(zip(OUTCOME_GRID, combinations[place], strict=True))))
        assert answers[place] == ("-" if label is None else str(label))


@pytest.mark.parametrize(
    ("task", "changed"),
    [
        ("fpe", lambda case: 0 if case.num_passes == 0 else fpe(case)),
        ("fpe", lambda case: None if case.num_passes == 3 else fpe(case)),
        (
            "recanalization",
            lambda case: 1 if case.final_mtici == "2b" else recanalization(case),
        ),
        ("recanalization", lambda case: 0 if case.rescue_treatment else recanalization(case)),
        ("rlvo", lambda case: 1 if case.stenosis_percent == 50 else rlvo(case)),
        ("rlvo", lambda case: rlvo(case) or 0),
    ],
)
def test_code_that_changes_without_its_text_changes_the_fingerprint(
    monkeypatch: pytest.MonkeyPatch, task: Task, changed: Callable[[CaseRow], int | None]
) -> None:
    before = label_fingerprint.__wrapped__(task)
    monkeypatch.setitem(labels._TASKS, task, (changed, definition_of(task)))
    assert label_fingerprint.__wrapped__(task) != before


def test_text_that_changes_without_its_code_changes_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = label_fingerprint.__wrapped__("fpe")
    monkeypatch.setitem(labels._TASKS, "fpe", (fpe, definition_of("fpe") + " Or so."))
    assert label_fingerprint.__wrapped__("fpe") != before
