"""Every kind of broken row has its code, and the good rows beside it are still read."""

import csv
from pathlib import Path

import pytest

from fpe_core.config.study import Task
from fpe_core.data.case_table import CaseTable, read_case_table
from fpe_core.data.phantoms.demo_sites import demo_sites
from fpe_core.data.phantoms.generate import draw_cases
from fpe_core.data.phantoms.spec import Modality
from fpe_core.data.table_problems import BadValues

HEADER = (
    "case_id,patient_id,treatment_date,age_years,sex,nihss,smoker,dwi,tmax_over_4_s_ml,tmax_over_6_s_ml,"
    "tmax_over_10_s_ml,num_passes,mtici_after_first_pass,final_mtici"
)
GOOD = ("good-1,q1,2020-01-01,70,F,12,0,a.nii,200,100,40,1,2b,2b", "good-2,q2,,80,M,9,1,,,,,3,2a,3")

# What stands in the row, its code, and the columns that are named.
VALUES = {
    "number too large": ("c,p,,121,,,,,,,,,,", "FPE-231", "age_years"),
    "number below its range": ("c,p,,,,-1,,,,,,,,", "FPE-231", "nihss"),
    "not a number": ("c,p,,old,,,,,,,,,,", "FPE-231", "age_years"),
    "not finite": ("c,p,,nan,,,,,,,,,,", "FPE-231", "age_years"),
    "endless number": ("c,p,,1e999,,,,,,,,,,", "FPE-231", "age_years"),
    "digits of another script": ("c,p,,٧١,,,,,,,,,,", "FPE-231", "age_years"),
    "half a point": ("c,p,,,,3.5,,,,,,,,", "FPE-231", "nihss"),
    "decimal comma without a mapping": ('c,p,,"71,5",,,,,,,,,,', "FPE-231", "age_years"),
    "date of another form": ("c,p,03.04.2021,,,,,,,,,,,", "FPE-231", "treatment_date"),
    "day that does not exist": ("c,p,2021-02-30,,,,,,,,,,,", "FPE-231", "treatment_date"),
    "spreadsheet's day number": ("c,p,44259,,,,,,,,,,,", "FPE-231", "treatment_date"),
    "year typed wrongly": ("c,p,0202-03-04,,,,,,,,,,,", "FPE-231", "treatment_date"),
    "control character in a path": ("c,p,,,,,,a\x00.nii,,,,,,", "FPE-231", "dwi"),
    "path that no system can hold": (f"c,p,,,,,,{'a' * 300},,,,,,", "FPE-231", "dwi"),
    "unknown grade": ("c,p,,,,,,,,,,,,2d", "FPE-232", "final_mtici"),
    "unknown sex": ("c,p,,,w,,,,,,,,,", "FPE-232", "sex"),
    "neither yes nor no": ("c,p,,,,,maybe,,,,,,,", "FPE-232", "smoker"),
    "mark for unknown without a mapping": ("c,p,,,,,NA,,,,,,,", "FPE-232", "smoker"),
    "volumes not nested": ("c,p,,,,,,,100,120,,,,", "FPE-233", "tmax_over_4_s_ml, tmax_over_6_s_ml"),
    "volumes not nested, one missing": ("c,p,,,,,,,100,,130,,,", "FPE-233", "tmax_over_4_s_ml, tmax_over_10_s_ml"),
    "grade after no pass": ("c,p,,,,,,,,,,0,2b,", "FPE-233", "num_passes, mtici_after_first_pass"),
    "two grades after one pass": ("c,p,,,,,,,,,,1,2a,3", "FPE-233", "num_passes, mtici_after_first_pass, final_mtici"),
}
# Rows that are no case whatever the site's rule is; the code of each row, and its column.
SHAPES = {
    "too few cells": (["c,p,,70"], ["FPE-230"], ""),
    "too many cells": (["c,p,,70,F,3,0,a.nii,3,2,1,1,3,3,9"], ["FPE-230"], ""),
    "quotation marks broken": (['c,"p"1,,,,,,,,,,,,'], ["FPE-230"], ""),
    "case id missing": ([",p,,,,,,,,,,,,"], ["FPE-230"], "case_id"),
    "patient id missing": (["c,,,,,,,,,,,,,"], ["FPE-230"], "patient_id"),
    "case id that is a path": (["../c,p,,,,,,,,,,,,"], ["FPE-231"], "case_id"),
    "case id with a space": (["c 1,p,,,,,,,,,,,,"], ["FPE-231"], "case_id"),
    "case id too long": (["c" * 65 + ",p,,,,,,,,,,,,"], ["FPE-231"], "case_id"),
    "case twice": (["c,p,,,,,,,,,,,,", "c,p9,,,,,,,,,,,,"], ["FPE-234"] * 2, "case_id"),
    "case thrice": (["c,p,,,,,,,,,,,,", "c,p8,,,,,,,,,,,,", "c,p9,,,,,,,,,,,,"], ["FPE-234"] * 3, "case_id"),
    "same treatment twice": (["c,p,2020-05-05,,,,,,,,,,,", "d,p,2020-05-05,,,,,,,,,,,"], ["FPE-235"] * 2, "patient_id"),
    "second treatment without date": (["c,p,2020-05-05,,,,,,,,,,,", "d,p,,,,,,,,,,,,"], ["FPE-235"] * 2, "patient_id"),
    "two treatments without dates": (["c,p,,,,,,,,,,,,", "d,p,,,,,,,,,,,,"], ["FPE-235"] * 2, "patient_id"),
}  # fmt: skip


def read(folder: Path, *rows: str, bad_values: BadValues = "quarantine") -> CaseTable:
    path = folder / "cases.csv"
    path.write_text("\n".join((HEADER, GOOD[0], *rows, GOOD[1])) + "\n", encoding="utf-8")
    table = read_case_table(path, bad_values=bad_values)
    assert [row.case_id for row in table.rows if row.case_id.startswith("good")] == ["good-1", "good-2"]
    assert table.rows[0].nihss == 12
    assert table.rows[-1].final_mtici == "3"
    assert table.num_rows == len(rows) + 2
    return table


@pytest.mark.parametrize("kind", VALUES)
def test_a_bad_value_sets_its_case_aside(tmp_path: Path, kind: str) -> None:
    row, code, column = VALUES[kind]
    table = read(tmp_path, row)
    (problem,) = table.problems
    assert (problem.line, problem.column, problem.code, problem.case_id) == (3, column, code, "c")
    assert problem.effect == "case set aside"
    assert len(problem.message) < 250
    assert table.quarantined == {"c": code}
    assert table.set_aside_by_code() == {code: 1}
    assert len(table.rows) == 2


@pytest.mark.parametrize("kind", VALUES)
def test_or_is_taken_for_missing_where_the_site_says_so(tmp_path: Path, kind: str) -> None:
    row, code, column = VALUES[kind]
    table = read(tmp_path, row, bad_values="set_missing")
    (problem,) = table.problems
    assert (problem.code, problem.effect) == (code, "column set missing")
    assert (table.quarantined, table.set_aside_by_code()) == ({}, {})
    kept = table.rows[1]
    assert kept.case_id == "c"
    assert all(not kept.images if name == "dwi" else getattr(kept, name) is None for name in column.split(", "))


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("bad_values", ["quarantine", "set_missing"])
def test_a_row_that_is_no_case_is_always_set_aside(tmp_path: Path, kind: str, bad_values: BadValues) -> None:
    rows, codes, column = SHAPES[kind]
    table = read(tmp_path, *rows, bad_values=bad_values)
    assert [problem.code for problem in table.problems] == codes
    assert [problem.line for problem in table.problems] == list(range(3, 3 + len(rows)))
    assert {(problem.column, problem.effect) for problem in table.problems} == {(column, "case set aside")}
    assert [row.case_id for row in table.rows] == ["good-1", "good-2"]
    assert table.set_aside_by_code() == {codes[0]: len(rows)}


@pytest.mark.parametrize(
    ("rows", "column", "told"),
    [
        (("c,p,2019-05-05,70,F,,,,,,,,,", "d,p,2020-05-05,71,M,,,,,,,,,"), "sex", "F and M"),
        (("c,p,2010-05-05,70,,,,,,,,,,", "d,p,2020-05-05,71,,,,,,,,,,"), "age_years", "9.0 years apart"),
        (("c,p,2020-05-05,70,,,,,,,,,,", "d,p,2010-05-05,70,,,,,,,,,,"), "age_years", "10.0 years apart"),
    ],
)
def test_a_patient_that_contradicts_itself(tmp_path: Path, rows: tuple[str, str], column: str, told: str) -> None:
    table = read(tmp_path, *rows)
    assert table.quarantined == {"c": "FPE-233", "d": "FPE-233"}
    assert all(told in problem.message for problem in table.problems)
    kept = read(tmp_path, *rows, bad_values="set_missing").rows[1:3]
    assert [getattr(row, column) for row in kept] == [None, None]
    assert [row.case_id for row in kept] == ["c", "d"]


def test_one_id_on_every_line_is_told_briefly(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_text("case_id,patient_id,sex\n" + "".join(f"c{i},hospital,{'FM'[i % 2]}\n" for i in range(2000)))
    table = read_case_table(path)
    assert set(table.quarantined.values()) == {"FPE-235"}
    assert len(table.problems) == 4000
    assert table.problems[0].message.startswith("the patient stands also on line 3, 4, 5, 6, 7 and 1994 more;")
    assert all(len(problem.message) < 150 for problem in table.problems)


@pytest.mark.parametrize(
    "rows",
    [
        ("c,p,2019-05-05,70,F,,,,,,,,,", "d,p,2020-05-05,71,F,,,,,,,,,"),
        ("c,p,,,,,,,,,,,2b,", "d,p9,,,,,,,,,,0,,0"),
        ("c,p,,,,,,,100,100.4,100,2,3,2b",),
        ("c,p,,0,,0,,,0,0,0,,,",),
    ],
    ids=["two treatments", "grade without passes", "rounded volumes, vessel closed again", "nothing but zeros"],
)
def test_what_is_unusual_but_possible_is_no_problem(tmp_path: Path, rows: tuple[str, ...]) -> None:
    assert read(tmp_path, *rows).problems == ()


def test_every_problem_of_a_row_is_told_and_its_first_decides(tmp_path: Path) -> None:
    table = read(tmp_path, "c,p,,121,w,3,0,,10,20,,0,3,3")
    assert [problem.code for problem in table.problems] == ["FPE-231", "FPE-232", "FPE-233", "FPE-233"]
    assert table.quarantined == {"c": "FPE-231"}


def test_all_kinds_in_one_table(tmp_path: Path) -> None:
    rows = [row.replace("c,p,", f"v{i},pv{i},", 1) for i, (row, _, _) in enumerate(VALUES.values())]
    table = read(tmp_path, *rows)
    assert table.quarantined == {f"v{i}": code for i, (_, code, _) in enumerate(VALUES.values())}


def test_a_misshapen_row_counts_for_cases_that_stand_twice(tmp_path: Path) -> None:
    table = read(tmp_path, "c,p", "c,p,,,,,,,,,,,,")
    assert table.quarantined == {"c": "FPE-234"}
    assert {problem.code for problem in table.problems} == {"FPE-230", "FPE-234"}


def test_a_phantom_flag_that_is_not_readable_never_makes_a_patient(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_text("case_id,patient_id,synthetic\na,p1,1\nb,p2,so\n")
    table = read_case_table(path, bad_values="set_missing")
    assert table.synthetic
    assert table.quarantined == {"b": "FPE-232"}


def test_a_table_without_a_usable_row_is_still_a_table(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_text("case_id,patient_id\n,p1\n")
    table = read_case_table(path)
    assert (table.rows, table.synthetic, table.set_aside_by_code()) == ((), False, {"FPE-230": 1})


@pytest.mark.parametrize("modality", ["mr", "ct"])
@pytest.mark.parametrize("task", ["fpe", "recanalization", "rlvo"])
def test_phantom_tables_have_no_problem(tmp_path: Path, modality: Modality, task: Task) -> None:
    for site in demo_sites(100, modality):
        cases = draw_cases(site.model_copy(update={"task": task}), seed=5)
        rows = [{"case_id": case.case_id, "patient_id": case.case_id, "synthetic": 1, **case.cells} for case in cases]
        with (tmp_path / "cases.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        table = read_case_table(tmp_path / "cases.csv")
        assert table.problems == ()
        assert (len(table.rows), table.synthetic) == (100, True)


def test_every_row_is_usable_named_or_nameless(tmp_path: Path) -> None:
    assert read(tmp_path).nameless_rows == 0
    twice, no_id, wrong = ["c,p,,,,,,,,,,,,", "c,p9,,,,,,,,,,,,"], ",p7,,,,,,,,,,,,", "d,p6,yesterday,,,,,,,,,,,"
    table = read(tmp_path, *twice, no_id, wrong)
    assert set(table.quarantined) == {"c", "d"}
    assert table.nameless_rows == 2, "the second row of c, and the one without an id"
