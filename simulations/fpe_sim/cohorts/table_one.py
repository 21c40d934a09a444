"""Table 1 of both papers, recomputed from a cohort beside the printed one."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from scipy.stats import chi2_contingency, mannwhitneyu, ttest_ind

from fpe_core.data.case_row import CaseRow
from fpe_core.data.labels import label_of
from fpe_sim.cohorts.agreement import Values, comparisons, values_of
from fpe_sim.cohorts.printed import (
    UCLA_TABLE_ONE,
    VDH_TABLE_ONE,
    Mean,
    Printed,
    PrintedRow,
    PrintedTable,
    Share,
)
from fpe_sim.protocol_results import Entry, ResultTable, Row

_OUTCOMES: Final = ("unsuccessful", "success in 2 or more passes", "success at the first pass")


def ucla_groups(*, mr: Sequence[CaseRow] = (), ct: Sequence[CaseRow] = ()) -> dict[str, Sequence[CaseRow]]:
    """Included patients by the heading of UCLA's table 1; the total needs both modalities."""
    return {"total": [*mr, *ct] if mr and ct else [], "MR": mr, "CT": ct}


def vdh_groups(development: Sequence[CaseRow], test: Sequence[CaseRow]) -> dict[str, Sequence[CaseRow]]:
    """Included patients by the heading of Vall d'Hebron's table 1."""
    refractory = [[row for row in rows if label_of("rlvo", row)] for rows in (development, test)]
    return {"training": development, "training, rLVO": refractory[0], "test": test, "test, rLVO": refractory[1]}


def ucla_table_one(*, mr: Sequence[CaseRow] = (), ct: Sequence[CaseRow] = ()) -> ResultTable:
    """AJNR 2024, table 1: total, MR, CT, and p values of MR against CT where both are given.

    Frequencies are compared by chi squared (with continuity correction in 2 × 2), means by Student's t, medians by
    the rank-sum test.
    """
    groups = ucla_groups(mr=mr, ct=ct)
    table = UCLA_TABLE_ONE
    rows = []
    for row in table.rows:
        p = _p_value(row, groups) if mr and ct and row.p else None
        here = "" if p is None else "<.0001" if p < 0.0001 else f"{p:.4f}"
        rows.append(Row(name=row.name, entries=(*_entries(table, row, groups), Entry(here=here, paper=row.p, value=p))))
    return ResultTable(
        id="table-1-ucla",
        title=f"Patients ({table.title})",
        columns=(*(f"{name} (n = {size} in the paper)" for name, size in table.groups), "p, MR against CT"),
        rows=tuple(rows),
        note=_note(table, groups),
    )


def vdh_table_one(development: Sequence[CaseRow], test: Sequence[CaseRow]) -> ResultTable:
    """EJR 2025, table 1: training and test cohort, and the refractory occlusions among them."""
    groups, table = vdh_groups(development, test), VDH_TABLE_ONE
    rows = [Row(name=row.name, entries=tuple(_entries(table, row, groups))) for row in table.rows]
    return ResultTable(
        id="table-1-vdh",
        title=f"Patients ({table.title})",
        columns=tuple(f"{name} (n = {size} in the paper)" for name, size in table.groups),
        rows=tuple(rows),
        note=_note(table, groups),
    )


def _entries(table: PrintedTable, row: PrintedRow, groups: Mapping[str, Sequence[CaseRow]]) -> list[Entry]:
    return [_entry(cell, values_of(row, groups[name])) for (name, _), cell in zip(table.groups, row.cells, strict=True)]


def _entry(cell: Printed, values: Values) -> Entry:
    """The number here in the paper's form; empty without a patient."""
    if not len(values):
        return Entry(paper=str(cell))
    if isinstance(cell, Share):
        share = 100 * float(values.mean())
        return Entry(here=f"{int(values.sum())} ({share:.1f} %)", paper=str(cell), value=share)
    if isinstance(cell, Mean):
        mean, sd = float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else 0.0
        return Entry(here=f"{mean:.2f} (SD {sd:.2f})", paper=str(cell), value=mean, sd=sd)
    first, median, third = (float(value) for value in np.percentile(values, [25, 50, 75]))
    return Entry(here=f"{median:.4g} ({first:.3g}-{third:.3g})", paper=str(cell), value=median)


def _p_value(row: PrintedRow, groups: Mapping[str, Sequence[CaseRow]]) -> float | None:
    """MR against CT, by the test that the row's kind asks for; None where one has too little to compare."""
    mr, ct = (values_of(row, groups[name]) for name in ("MR", "CT"))
    if not len(mr) or not len(ct):
        return None
    if isinstance(row.cells[0], Mean):
        return float(ttest_ind(mr, ct).pvalue)
    if not isinstance(row.cells[0], Share):
        return float(mannwhitneyu(mr, ct).pvalue)
    counts = _outcome_counts(groups) if row.name in _OUTCOMES else _yes_and_no(mr, ct)
    counts = counts[:, counts.any(axis=0)]
    return float(chi2_contingency(counts).pvalue) if counts.shape[1] > 1 else None


def _yes_and_no(*groups: Values) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    return np.array([[int(values.sum()), len(values) - int(values.sum())] for values in groups])


def _outcome_counts(groups: Mapping[str, Sequence[CaseRow]]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    rows = [row for row in UCLA_TABLE_ONE.rows if row.name in _OUTCOMES]
    return np.array([[int(values_of(row, groups[name]).sum()) for row in rows] for name in ("MR", "CT")])


def _note(table: PrintedTable, groups: Mapping[str, Sequence[CaseRow]]) -> str:
    """How many printed numbers the cohort agrees with, and with which it does not."""
    compared = [one for one in comparisons(table, groups) if not one.contradicted]
    outside = [str(one) for one in compared if not one.inside]
    sizes = ", ".join(f"{name} {len(rows)}" for name, rows in groups.items() if rows)
    found = f" Not: {'; '.join(outside)}." if outside else ""
    return (
        f"Included patients here: {sizes}. {len(compared) - len(outside)} of {len(compared)} printed numbers lie in "
        f"the 99 % interval of what is computed here.{found}"
    )
