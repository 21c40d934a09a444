"""Where table 1 of a paper contradicts itself: found by recomputing what can be recomputed from what is printed."""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from scipy.stats import chi2_contingency, ttest_ind_from_stats

from fpe_sim.cohorts.printed import UCLA_TABLE_ONE, VDH_TABLE_ONE, Mean, Median, PrintedRow, PrintedTable, Share

_COURSES: Final = {
    "unsuccessful": "unsuccessful, mTICI",
    "success in 2 or more passes": "2 or more passes, mTICI",
    "success at the first pass": "first pass, mTICI",
}
_ONSET_LIMITS_MIN: Final = {"onset < 4.5 h": 270, "onset < 6 h": 360}
_UNLIKELY_SPLIT: Final = 0.01
"""A random split makes two cohorts differ by more than this p value once in a hundred comparisons."""


def discrepancies() -> tuple[str, ...]:
    """Both papers' contradictions, one sentence each."""
    return ucla_discrepancies() + vdh_discrepancies()


def ucla_discrepancies() -> tuple[str, ...]:
    """Contradictions in AJNR 2024, table 1."""
    table = UCLA_TABLE_ONE
    return (
        f"{table.title}: the abstract counts 326 patients, text and table 332 (= 152 + 180).",
        *_wrong_percents(table, digit=0.01),
        *_wrong_totals(table),
        *_wrong_sums(table),
        *_impossible_quartiles(table),
        *_other_p_values(table),
    )


def vdh_discrepancies() -> tuple[str, ...]:
    """Contradictions in EJR 2025, table 1."""
    return (*_wrong_percents(VDH_TABLE_ONE, digit=0.1), *_unlike_cohorts(VDH_TABLE_ONE))


def _wrong_percents(table: PrintedTable, *, digit: float) -> Iterator[str]:
    for row, group, size, cell in _cells(table):
        if not isinstance(cell, Share) or cell.percent is None:
            continue
        percent = 100 * cell.count / size
        if abs(percent - cell.percent) > digit:
            count = round(cell.percent * size / 100)
            yield (
                f"{table.title}: {row.name}, {group}: {cell.count} of {size} is {percent:.1f} %, printed is "
                f"{cell.percent:g} %, which would be {count}; the phantoms follow the percentage."
            )


def _wrong_totals(table: PrintedTable) -> Iterator[str]:
    """The first group should be the sum of the others."""
    for row in table.rows:
        counts = [cell.count for cell in row.cells if isinstance(cell, Share)]
        if counts and counts[0] != sum(counts[1:]):
            parts = " + ".join(str(count) for count in counts[1:])
            yield f"{table.title}: {row.name}: {parts} = {sum(counts[1:])}, the printed total is {counts[0]}."


def _wrong_sums(table: PrintedTable) -> Iterator[str]:
    """The grades of each outcome should add up to it."""
    for name, begin in _COURSES.items():
        whole = _row(table, name)
        grades = [row for row in table.rows if row.name.startswith(begin)]
        for place, (group, _) in enumerate(table.groups):
            total, parts = _count(whole, place), [_count(row, place) for row in grades]
            if total != sum(parts):
                added = " + ".join(str(part) for part in parts)
                yield f"{table.title}: {name}, {group}: the grades {added} are {sum(parts)}, printed are {total}."


def _impossible_quartiles(table: PrintedTable) -> Iterator[str]:
    """Quartiles of the whole lie between those of its parts, and three quarters lie below the third."""
    row, unknown = _row(table, "onset to image, min"), _row(table, "unknown onset")
    cells = [cell for cell in row.cells if isinstance(cell, Median)]
    thirds = [cell.third for cell in cells]
    if not min(thirds[1:]) <= thirds[0] <= max(thirds[1:]):
        yield (
            f"{table.title}: {row.name}: the total's third quartile, {thirds[0]:g}, should lie between those of MR and "
            f"CT, {thirds[1]:g} and {thirds[2]:g}."
        )
    for place, (group, size) in enumerate(table.groups):
        known = size - _count(unknown, place)
        for name, limit in _ONSET_LIMITS_MIN.items():
            below = _count(_row(table, name), place)
            if thirds[place] < limit and below < math.floor(0.75 * known):
                yield (
                    f"{table.title}: {row.name}, {group}: a third quartile of {thirds[place]:g} min puts at least "
                    f"{math.floor(0.75 * known)} of {known} known times below {limit} min, printed are {below}; the "
                    "phantoms follow the counts."
                )


def _other_p_values(table: PrintedTable) -> Iterator[str]:
    """p values of MR against CT from the printed counts and means; rank-sum tests need the patients."""
    for row in table.rows:
        computed = _p_value(table, row)
        if computed is None or not row.p:
            continue
        printed = float(row.p.lstrip("<"))
        agree = computed < printed if row.p.startswith("<") else 0.95 < computed / printed < 1.05
        if not agree:
            yield f"{table.title}: {row.name}: the printed numbers give p = {computed:.4f}, printed is {row.p}."


def _p_value(table: PrintedTable, row: PrintedRow) -> float | None:
    sizes = [size for _, size in table.groups[1:]]
    if row.name in _COURSES:
        counts = [[_count(_row(table, name), place) for name in _COURSES] for place in (1, 2)]
        return float(chi2_contingency(np.array(counts)).pvalue)
    _, first, second = row.cells
    if isinstance(first, Mean) and isinstance(second, Mean):
        return float(ttest_ind_from_stats(first.mean, first.sd, sizes[0], second.mean, second.sd, sizes[1]).pvalue)
    if isinstance(first, Share) and isinstance(second, Share):
        return _two_shares(first.count, sizes[0], second.count, sizes[1])
    return None


def _unlike_cohorts(table: PrintedTable) -> Iterator[str]:
    """Frequencies of training and test cohort that a random split would hardly give, and medians that never meet."""
    (_, training_size), _, (_, test_size), _ = table.groups
    for row in table.rows:
        training, _, test, _ = row.cells
        if isinstance(training, Share) and isinstance(test, Share):
            p = _two_shares(training.count, training_size, test.count, test_size)
            unlike, why = p < _UNLIKELY_SPLIT, f"p = {p:.2g}"
        elif isinstance(training, Median) and isinstance(test, Median):
            unlike = not (_within(training, test) and _within(test, training))
            why = "each median lies outside the other's quartiles"
        else:
            continue
        if unlike:
            yield (
                f"{table.title}: {row.name}: {training} in the training and {test} in the test cohort, {why}: more "
                "than a random split by patient would give; each phantom cohort has its own frequencies."
            )


def _within(one: Median, other: Median) -> bool:
    return other.first <= one.median <= other.third


def _two_shares(first: int, first_size: int, second: int, second_size: int) -> float:
    counts = np.array([[first, first_size - first], [second, second_size - second]])
    return float(chi2_contingency(counts).pvalue)


def _cells(table: PrintedTable) -> Iterator[tuple[PrintedRow, str, int, object]]:
    for row in table.rows:
        for (group, size), cell in zip(table.groups, row.cells, strict=True):
            yield row, group, size, cell


def _row(table: PrintedTable, name: str) -> PrintedRow:
    return next(row for row in table.rows if row.name == name)


def _count(row: PrintedRow, place: int) -> int:
    cell = row.cells[place]
    if not isinstance(cell, Share):
        raise TypeError(f"{row.name}: should be a number of patients, got {cell}")
    return cell.count
