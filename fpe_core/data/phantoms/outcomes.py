"""Outcome columns that give back three labels at once: first-pass effect, recanalisation, refractory occlusion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from fpe_core.data.phantoms.clinic import Cell

Course = Literal["failed", "later", "first"]
"""No success; success after several passes; success at the first pass."""
GradeCounts = Mapping[Course, Mapping[str, int]]
"""Number of patients by final grade in each course; only their ratios matter."""
_FULL: Final = frozenset({"2c", "3"})
_FAILED_GRADES: Final = ("0", "1", "2a")
_RESCUE_AMONG_REFRACTORY: Final = 0.182
"""EJR 2025, results."""


@dataclass(frozen=True)
class Fate:
    """What became of one patient, as far as the labels decide it.

    Attributes:
        course: of the thrombectomy.
        full: final grade 2c or 3.
        refractory: by grade where the course failed, else by stenosis.
    """

    course: Course
    full: bool
    refractory: bool

    @classmethod
    def of(cls, fpe: int, recanalization: int, rlvo: int, *, fails: bool) -> "Fate":
        """The fate that three labels leave open but for one thing.

        Args:
            fpe: label.
            recanalization: label.
            rlvo: label.
            fails: of a refractory occlusion without any success: it failed by grade, and not by stenosis after a 2b.
        """
        if fpe:
            return cls("first", bool(recanalization), bool(rlvo))
        failed = bool(rlvo) and not recanalization and fails
        return cls("failed" if failed else "later", bool(recanalization), bool(rlvo))


def outcome_columns(fate: Fate, grades: GradeCounts, rng: np.random.Generator) -> dict[str, Cell]:
    """Outcome cells from which the three definitions give back the labels that `fate` was made of."""
    possible = {grade: count for grade, count in grades[fate.course].items() if (grade in _FULL) == fate.full}
    final = _pick(possible, rng)
    by_stenosis = fate.refractory and fate.course != "failed"
    return {
        **_passes(fate.course, final, grades["failed"], rng),
        "final_mtici": final,
        "stenosis_percent": int(rng.integers(51, 91) if by_stenosis else rng.integers(0, 51)),
        "rescue_treatment": int(fate.refractory and rng.random() < _RESCUE_AMONG_REFRACTORY),
    }


def _passes(course: Course, final: str, failed: Mapping[str, int], rng: np.random.Generator) -> dict[str, Cell]:
    """Number of passes and the grade after the first, which is never better than the final one."""
    if course == "first":
        return {"num_passes": 1, "mtici_after_first_pass": final}
    upto = _FAILED_GRADES[: _FAILED_GRADES.index(final) + 1] if final in _FAILED_GRADES else _FAILED_GRADES
    return {
        "num_passes": 2 + min(int(rng.geometric(0.5)) - 1, 4),
        "mtici_after_first_pass": _pick({grade: failed[grade] for grade in upto}, rng),
    }


def _pick(counts: Mapping[str, int], rng: np.random.Generator) -> str:
    weights = np.array(list(counts.values()), dtype=np.float64)
    return str(rng.choice(list(counts), p=weights / weights.sum()))
