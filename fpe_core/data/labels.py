"""What is predicted: one function per task, from a case's raw outcome columns to 1, 0 or None.

All sites of a study must mean the same by a label, so the definition is text with a fingerprint that sites compare.
"""

import hashlib
from collections.abc import Callable
from typing import Final

from fpe_core.config.study import Task
from fpe_core.data.case_table import CaseRow

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


def label_fingerprint(task: Task) -> str:
    """sha256 of the definition's text: two sites with the same fingerprint mean the same by a label."""
    return hashlib.sha256(definition_of(task).encode()).hexdigest()
