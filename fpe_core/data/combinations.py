"""Values of one case, or of one patient, that cannot be true together.

Only what is truly impossible. An unwitnessed onset with a time is not: sites count from when the patient was last seen
well. Nor is a first pass that ended better than the last: a vessel may close again.
"""

from collections.abc import Iterator, Sequence
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


def impossible_in_patient(rows: Sequence[CaseRow]) -> Iterator[Impossible]:
    """Contradictions between the treatments of one patient."""
    sexes = {row.sex for row in rows if row.sex}
    if len(sexes) > 1:
        yield ("sex",), "one patient is F and M"
    births = [
        row.treatment_date.toordinal() / _DAYS_PER_YEAR - row.age_years
        for row in rows
        if row.treatment_date is not None and row.age_years is not None
    ]
    if births and max(births) - min(births) > AGE_SLACK_YEARS:
        apart = max(births) - min(births)
        yield ("age_years", "treatment_date"), f"ages and dates put one patient's birth {apart:.1f} years apart"


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
