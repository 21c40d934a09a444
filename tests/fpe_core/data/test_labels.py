import hashlib
from typing import Any

import pytest

from fpe_core.config.study import Task
from fpe_core.data.case_table import CaseRow
from fpe_core.data.labels import definition_of, label_fingerprint, label_of

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


def test_fingerprint_is_that_of_the_text_and_differs_between_tasks() -> None:
    fingerprints = {label_fingerprint(task) for task in TASKS}
    assert fingerprints == {hashlib.sha256(definition_of(task).encode()).hexdigest() for task in TASKS}
    assert len(fingerprints) == len(TASKS)


def test_definitions_are_pinned() -> None:
    # A changed definition is another label: sites on different releases must then refuse each other.
    assert label_fingerprint("fpe").startswith("c9b58a51da14646a")
    assert label_fingerprint("recanalization").startswith("343dc9e0263257a9")
    assert label_fingerprint("rlvo").startswith("2987323fa4a602fe")
