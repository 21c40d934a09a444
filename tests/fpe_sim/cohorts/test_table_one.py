import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import yaml
from scipy.stats import binom

from fpe_core.data.case_row import CaseRow
from fpe_sim.cohorts.agreement import comparisons, quantile_interval, share_interval, values_of
from fpe_sim.cohorts.populations import UCLA_CT, UCLA_MR, VDH_DEVELOPMENT, VDH_TEST
from fpe_sim.cohorts.printed import UCLA_TABLE_ONE, VDH_TABLE_ONE, Mean, Median, PrintedTable, Share
from fpe_sim.cohorts.table_one import ucla_groups, ucla_table_one, vdh_groups, vdh_table_one
from fpe_sim.protocol import BUILT_IN
from tests.fpe_sim.cohorts.cohort_rows import patients, population_rows, rows_of

TAIL = 0.005


def seed_of(protocol: str) -> int:
    return int(yaml.safe_load((BUILT_IN / f"{protocol}.yaml").read_text())["seed"])


def ucla(seed: int) -> dict[str, Sequence[CaseRow]]:
    return ucla_groups(mr=rows_of(patients("ucla-mr", seed)), ct=rows_of(patients("ucla-ct", seed)))


def vdh(seed: int) -> dict[str, Sequence[CaseRow]]:
    drawn = patients("vdh", seed)
    return vdh_groups(rows_of(drawn, group="development"), rows_of(drawn, group="test"))


def many_of_ucla() -> dict[str, Sequence[CaseRow]]:
    return ucla_groups(mr=population_rows(UCLA_MR, 15 * 152, 8), ct=population_rows(UCLA_CT, 15 * 180, 9))


def many_of_vall_dhebron() -> dict[str, Sequence[CaseRow]]:
    return vdh_groups(population_rows(VDH_DEVELOPMENT, 6000, 8), population_rows(VDH_TEST, 6000, 9))


@pytest.mark.parametrize("protocol", ["ucla-fpe-mr", "ucla-fpe-ct"])
def test_printed_numbers_lie_in_the_intervals_of_uclas_cohorts(protocol: str) -> None:
    found = comparisons(UCLA_TABLE_ONE, ucla(seed_of(protocol)))
    assert not [str(one) for one in found if not one.contradicted and not one.inside]
    assert sum(one.contradicted for one in found) == 3
    assert len(found) == 17 * 3 + 2 * 3 + 2 * 3 * 3


def test_printed_numbers_lie_in_the_intervals_of_vall_dhebrons_cohort() -> None:
    found = comparisons(VDH_TABLE_ONE, vdh(seed_of("vdh-rlvo")))
    assert not [str(one) for one in found if not one.inside]
    assert len(found) == 8 * 4 + 9 * 4 * 3


@pytest.mark.parametrize(("table", "groups"), [(UCLA_TABLE_ONE, many_of_ucla), (VDH_TABLE_ONE, many_of_vall_dhebron)])
def test_a_sample_of_the_papers_size_from_the_population_covers_what_is_printed(
    table: PrintedTable, groups: Callable[[], dict[str, Sequence[CaseRow]]]
) -> None:
    """No luck of a seed: the printed number is an ordinary result of drawing the paper's n from the population."""
    cases = groups()
    for row in table.rows:
        for (group, size), cell in zip(table.groups, row.cells, strict=True):
            values = values_of(row, cases[group])
            n = round(size * len(values) / len(cases[group]))
            if isinstance(cell, Share):
                low, high = binom.ppf([TAIL, 1 - TAIL], n, values.mean()) / n
                printed = {"share": (cell.count / size if cell.percent is None else cell.percent / 100, low, high)}
            elif isinstance(cell, Mean):
                half = 2.6 * values.std() / np.sqrt(n)
                printed = {
                    "mean": (cell.mean, values.mean() - half, values.mean() + half),
                    "sd": (cell.sd, values.std() - half, values.std() + half),
                }
            else:
                printed = {
                    name: (number, *np.quantile(values, np.clip(binom.ppf([TAIL, 1 - TAIL], n, rank) / n, 0, 1)))
                    for name, number, rank in (
                        ("first", cell.first, 0.25), ("median", cell.median, 0.5), ("third", cell.third, 0.75),
                    )
                    if name not in row.unlike
                }  # fmt: skip
            for name, (number, low, high) in printed.items():
                assert low - 0.005 <= number <= high + 0.005, f"{row.name}, {group}, {name}: {low} {number} {high}"


def test_intervals_hold_on_numbers_known_by_heart() -> None:
    assert share_interval(0, 10, level=0.95) == pytest.approx((0.0, 30.85), abs=0.01)
    assert quantile_interval(np.arange(1.0, 11.0), 0.5, level=0.95) == (2.0, 9.0)
    assert quantile_interval(np.arange(3.0), 0.5) == (-np.inf, np.inf)


def test_a_wrong_population_is_found() -> None:
    older = [row.model_copy(update={"age_years": row.age_years - 8}) for row in vdh(1)["training"]]
    found = comparisons(VDH_TABLE_ONE, {"training": older})
    assert {(one.row, one.number) for one in found if not one.inside} == {
        ("age, years", "first"), ("age, years", "median"), ("age, years", "third"),
    }  # fmt: skip


def test_uclas_table_has_printed_and_recomputed_numbers_and_p_values() -> None:
    groups = ucla(1)
    table = ucla_table_one(mr=groups["MR"], ct=groups["CT"])
    rows = {row.name: row.entries for row in table.rows}
    assert [len(entries) for entries in rows.values()] == [len(table.columns)] * len(UCLA_TABLE_ONE.rows)
    assert rows["success at the first pass"][1].here == "67 (44.1 %)"
    assert rows["success at the first pass"][1].paper == "67 (44.08 %)"
    assert rows["unsuccessful"][3].value == pytest.approx(0.6811, abs=1e-3)
    assert rows["IV thrombolysis"][3].paper == "<.0001"
    assert 0.001 < (rows["IV thrombolysis"][3].value or 0) < 0.2


def test_a_modality_alone_leaves_the_others_empty() -> None:
    table = ucla_table_one(mr=ucla(1)["MR"])
    for row in table.rows:
        assert [bool(entry.here) for entry in row.entries] == [False, True, False, False]


def test_vall_dhebrons_table_has_all_four_groups() -> None:
    groups = vdh(1)
    table = vdh_table_one(groups["training"], groups["test"])
    assert [row.name for row in table.rows] == [row.name for row in VDH_TABLE_ONE.rows]
    assert all(entry.here and entry.paper for row in table.rows for entry in row.entries)
    assert "training, rLVO 77" in table.note
    assert "test, rLVO 16" in table.note
    assert json.loads(table.model_dump_json())["id"] == "table-1-vdh"


def test_median_prints_as_the_paper_does() -> None:
    assert str(Median(0.43, 0.25, 0.57)) == "0.43 (0.25-0.57)"


def course_of(**columns: object) -> dict[str, float | None]:
    row = CaseRow.model_validate({"case_id": "c", "patient_id": "p", "images": {}, **columns})
    names = ("unsuccessful", "success in 2 or more passes", "success at the first pass", "first pass, mTICI 2b")
    return {name: next(one for one in UCLA_TABLE_ONE.rows if one.name == name).measure(row) for name in names}


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        # The label is of the first pass, whatever came after it.
        ({"num_passes": 2, "mtici_after_first_pass": "2b", "final_mtici": "3"}, (0, 0, 1, 1)),
        ({"mtici_after_first_pass": "2b"}, (0, 0, 1, 1)),
        ({"num_passes": 1, "final_mtici": "2b"}, (0, 0, 1, 1)),
        ({"num_passes": 3, "mtici_after_first_pass": "1", "final_mtici": "2c"}, (0, 1, 0, 0)),
        ({"num_passes": 3, "mtici_after_first_pass": "1", "final_mtici": "2a"}, (1, 0, 0, 0)),
        # It failed at first; how it ended is not known.
        ({"mtici_after_first_pass": "1"}, (None,) * 4),
    ],
)
def test_success_at_the_first_pass_is_the_label(columns: dict[str, object], expected: tuple[float | None, ...]) -> None:
    assert tuple(course_of(**columns).values()) == expected
