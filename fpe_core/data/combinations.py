"""Values of one case, or of one patient, that cannot be true together.

Only what is truly impossible. An unwitnessed onset with a time is not: sites count from when the patient was last seen
well. Nor is a first pass that ended better than the last: a vessel may close again.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from fpe_core.data.case_row import CaseRow

Impossible = tuple[tuple[str, ...], str]
"""The columns that contradict each other, and what is wrong in words."""

ROUNDING_ML: Final = 0.5
"""Volumes that are rounded to whole ml may seem not nested by this much."""
AGE_SLACK_YEARS: Final = 1.5
"""Ages in whole years at two dates may seem to differ from the time between them by this much."""
_DAYS_PER_YEAR: Final = 365.25


def impossible_in_case(row: CaseRow) -> Iterator[Impossible]:
    """Contradictions between the columns of one row."""
    for rule in (_nested_volumes, _no_pass, _one_pass):
        yield from rule(row)


def impossible_in_patient(one: CaseRow, other: CaseRow) -> Iterator[Impossible]:
    """Contradictions between two treatments of one patient."""
    if one.sex and other.sex and one.sex != other.sex:
        yield ("sex",), f"the same patient is {one.sex} and {other.sex}"
    if one.age_years is None or other.age_years is None or not one.treatment_date or not other.treatment_date:
        return
    aged_years = other.age_years - one.age_years
    passed_years = (other.treatment_date - one.treatment_date).days / _DAYS_PER_YEAR
    if abs(aged_years - passed_years) > AGE_SLACK_YEARS:
        said = f"the patient's treatments lie {passed_years:.1f} years apart, and the ages {aged_years:g}"
        yield ("age_years", "treatment_date"), said


def _nested_volumes(row: CaseRow) -> Iterator[Impossible]:
    """Tmax above 10 s lies inside Tmax above 6 s, which lies inside Tmax above 4 s."""
    names = ("tmax_over_4_s_ml", "tmax_over_6_s_ml", "tmax_over_10_s_ml")
    known = [(name, volume) for name in names if (volume := getattr(row, name)) is not None]
    for (outer, outer_ml), (inner, inner_ml) in pairwise(known):
        if inner_ml > outer_ml + ROUNDING_ML:
            yield (outer, inner), f"expected no more ml in {inner} than in {outer}, got {inner_ml:g} and {outer_ml:g}"


def _no_pass(row: CaseRow) -> Iterator[Impossible]:
    if row.num_passes == 0 and row.mtici_after_first_pass is not None:
        grade = row.mtici_after_first_pass
        yield ("num_passes", "mtici_after_first_pass"), f"no pass was made, and the grade after the first is {grade}"


def _one_pass(row: CaseRow) -> Iterator[Impossible]:
    first, final = row.mtici_after_first_pass, row.final_mtici
    if row.num_passes == 1 and first is not None and final is not None and first != final:
        columns = ("num_passes", "mtici_after_first_pass", "final_mtici")
        yield columns, f"after one pass the final grade is that of the first, got {first} and {final}"
