from dataclasses import replace

import pytest

from fpe_sim.cohorts import discrepancies as found
from fpe_sim.cohorts.printed import UCLA_TABLE_ONE, Share


@pytest.mark.parametrize(
    "said",
    [
        "326 patients", "86 + 96 = 182, the printed total is 180", "44 of 77 is 57.1 %, printed is 44.1 %",
        "grades 73 + 31 + 25 are 129, printed are 133", "335, should lie between", "p = 0.0400, printed is <.0001",
        "p = 0.6811, printed is .5191", "wake-up or unwitnessed: 176 (36.6 %)", "ASPECTS: 9 (8-10)",
    ],
)  # fmt: skip
def test_known_contradictions_are_told_once(said: str) -> None:
    assert sum(said in sentence for sentence in found.discrepancies()) == 1


def test_what_is_right_is_not_told() -> None:
    sentences = " ".join(found.discrepancies())
    for row in ("female, MR", "hypertension", "atrial fibrillation", "age, years", "NIHSS"):
        assert f": {row}" not in sentences


def test_a_corrected_table_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tuple(
        replace(row, cells=(Share(182, 54.82), *row.cells[1:])) if row.name == "female" else row
        for row in UCLA_TABLE_ONE.rows
    )
    monkeypatch.setattr(found, "UCLA_TABLE_ONE", replace(UCLA_TABLE_ONE, rows=rows))
    assert not [sentence for sentence in found.ucla_discrepancies() if "female" in sentence]
