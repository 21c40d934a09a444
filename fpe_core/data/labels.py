"""What is predicted: one function per task, from a case's raw outcome columns to 1, 0 or None.

All sites of a study must mean the same by a label, so each definition has a fingerprint that sites and coordinator
compare. It covers the text and what the function answers to every combination of outcomes in `OUTCOME_GRID`, so that
neither can change alone.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import product
from types import MappingProxyType
from typing import Final

from fpe_core.config.study import Task
from fpe_core.data.case_row import CaseRow

Label = int | None
"""1, 0, or None when the columns that are filled do not decide it."""

FPE_DEFINITION: Final = (
    "First-pass effect. Positive: mTICI 2b, 2c or 3 after one pass. Negative: success after several passes, or no "
    "success. The grade after the first pass decides where it is recorded; else, after one pass the final grade "
    "decides, and after several passes the label is negative. Without a pass there is no label."
)
RECANALIZATION_DEFINITION: Final = (
    "Recanalisation. Positive: final mTICI 2c or 3. Negative: final mTICI 0, 1, 2a or 2b."
)
RLVO_DEFINITION: Final = (
    "Refractory large-vessel occlusion. Positive when any holds: residual angiographic stenosis above 50 percent; "
    "grade 0, 1 or 2a after conventional thrombectomy; rescue treatment (angioplasty or stenting), whatever the grade "
    "after it. Negative when all three are recorded and none holds. Otherwise there is no label."
)


_GRADES: Final = (None, "0", "1", "2a", "2b", "2c", "3")
OUTCOME_GRID: Final[Mapping[str, tuple[object, ...]]] = MappingProxyType({
    "num_passes": (None, 0, 1, 2, 3),
    "mtici_after_first_pass": _GRADES,
    "final_mtici": _GRADES,
    "stenosis_percent": (None, 0.0, 49.9, 50.0, 50.1, 100.0),
    "rescue_treatment": (None, False, True),
})  # fmt: skip
"""Values of every outcome column that tell definitions apart: each code, and both sides of each threshold. A definition
with a threshold elsewhere, or on another column, needs its values here."""


def fpe(row: CaseRow) -> Label:
    """`FPE_DEFINITION` (AJNR 2024, outcome; the fallbacks for tables without the first pass's grade are ours)."""
    if row.num_passes == 0:
        return None
    if row.mtici_after_first_pass is not None:
        return int(row.mtici_after_first_pass in {"2b", "2c", "3"})
    if row.final_mtici in {"0", "1", "2a"}:
        return 0
    if row.num_passes is None:
        return None
    if row.num_passes > 1:
        return 0
    return None if row.final_mtici is None else 1


def recanalization(row: CaseRow) -> Label:
    """`RECANALIZATION_DEFINITION` (MIDL 2022, outcome)."""
    return None if row.final_mtici is None else int(row.final_mtici in {"2c", "3"})


def rlvo(row: CaseRow) -> Label:
    """`RLVO_DEFINITION` (EJR 2025, outcome)."""
    stenosis, grade, rescue = row.stenosis_percent, row.final_mtici, row.rescue_treatment
    criteria = (
        None if stenosis is None else stenosis > 50,
        None if grade is None else grade in {"0", "1", "2a"},
        rescue,
    )
    if any(criteria):
        return 1
    return None if None in criteria else 0


_TASKS: Final[dict[Task, tuple[Callable[[CaseRow], Label], str]]] = {
    "fpe": (fpe, FPE_DEFINITION),
    "recanalization": (recanalization, RECANALIZATION_DEFINITION),
    "rlvo": (rlvo, RLVO_DEFINITION),
}


def label_of(task: Task, row: CaseRow) -> Label:
    """The label of one case for `task`."""
    return _TASKS[task][0](row)


def definition_of(task: Task) -> str:
    """The definition of `task` in words."""
    return _TASKS[task][1]


def truth_table(task: Task) -> str:
    """The labels of all combinations of `OUTCOME_GRID`, the last column running fastest: 1, 0, or - for no label."""
    function = _TASKS[task][0]
    blank = CaseRow(case_id="c", patient_id="p", images={})
    answers = (
        function(blank.model_copy(update=dict(zip(OUTCOME_GRID, values, strict=True))))
        for values in product(*OUTCOME_GRID.values())
    )
    return "".join("-" if answer is None else str(answer) for answer in answers)


@lru_cache
def label_fingerprint(task: Task) -> str:
    """sha256 of text, grid and truth table: two sites with the same fingerprint mean and do the same by a label."""
    content = {"definition": definition_of(task), "grid": dict(OUTCOME_GRID), "labels": truth_table(task)}
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
