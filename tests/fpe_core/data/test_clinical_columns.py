"""What each clinical column is as a number, and the page that says so."""

from pathlib import Path
from typing import Any, get_args

import pytest

from fpe_core.config.study import ClinicalColumn
from fpe_core.data.case_table import CaseRow
from fpe_core.data.clinical_columns import COLUMN_RULES, CTP_COLUMNS, RLVO_COLUMNS, column_value
from fpe_core.data.dictionary import DICTIONARY

PAGE = Path(__file__).parents[3] / "docs" / "clinical-models.md"


def case(**cells: Any) -> CaseRow:
    return CaseRow.model_validate({"case_id": "c", "patient_id": "p", "images": {}, **cells})


def test_the_rules_are_those_of_the_plans_columns() -> None:
    assert tuple(COLUMN_RULES) == get_args(ClinicalColumn)
    assert len(RLVO_COLUMNS) == 18
    assert "aspects" not in RLVO_COLUMNS
    assert len(CTP_COLUMNS) == 6
    assert set(CTP_COLUMNS) < set(RLVO_COLUMNS)


@pytest.mark.parametrize(
    ("cells", "column", "number"),
    [
        ({"age_years": 71.5}, "age_years", 71.5),
        ({"sex": "F"}, "sex", 1.0),
        ({"sex": "M"}, "sex", 0.0),
        ({"hypertension": True}, "hypertension", 1.0),
        ({"smoker": False}, "smoker", 0.0),
        ({"nihss": 0}, "nihss", 0.0),
        ({"aspects": 7}, "aspects", 7.0),
        ({"occlusion_side": "left"}, "occlusion_side", 1.0),
        ({"occlusion_side": "right"}, "occlusion_side", 0.0),
        ({"occlusion_site": "ica"}, "occlusion_site", 0.0),
        ({"occlusion_site": "m1"}, "occlusion_site", 1.0),
        ({"occlusion_site": "m2"}, "occlusion_site", 2.0),
        ({"occlusion_site": "m3"}, "occlusion_site", 3.0),
        ({"occlusion_site": "basilar"}, "occlusion_site", None),
        ({"occlusion_site": "pca"}, "occlusion_site", None),
        ({"cbf_under_30_ml": 12.5}, "cbf_under_30_ml", 12.5),
        ({"tmax_over_10_s_ml": 30, "tmax_over_6_s_ml": 120}, "hypoperfusion_intensity_ratio", 0.25),
        ({"tmax_over_10_s_ml": 0, "tmax_over_6_s_ml": 120}, "hypoperfusion_intensity_ratio", 0.0),
        ({"tmax_over_4_s_ml": 180, "tmax_over_6_s_ml": 120}, "tmax4_to_tmax6_ratio", 1.5),
        ({"tmax_over_10_s_ml": 0, "tmax_over_6_s_ml": 0}, "hypoperfusion_intensity_ratio", None),
        ({"tmax_over_4_s_ml": 50, "tmax_over_6_s_ml": 0}, "tmax4_to_tmax6_ratio", None),
        ({"tmax_over_4_s_ml": 50}, "tmax4_to_tmax6_ratio", None),
        ({"tmax_over_6_s_ml": 50}, "hypoperfusion_intensity_ratio", None),
        ({"hypoperfusion_intensity_ratio": 0.3}, "hypoperfusion_intensity_ratio", 0.3),
        ({"tmax4_to_tmax6_ratio": 1.7, "tmax_over_6_s_ml": 50}, "tmax4_to_tmax6_ratio", 1.7),
        (
            {"hypoperfusion_intensity_ratio": 0.3, "tmax_over_10_s_ml": 30, "tmax_over_6_s_ml": 120},
            "hypoperfusion_intensity_ratio",
            0.25,
        ),
    ],
)
def test_numbers_are_as_documented(cells: dict[str, Any], column: ClinicalColumn, number: float | None) -> None:
    assert column_value(case(**cells), column) == number


@pytest.mark.parametrize("column", COLUMN_RULES)
def test_a_case_of_which_nothing_is_known_has_no_number(column: ClinicalColumn) -> None:
    assert column_value(case(), column) is None


@pytest.mark.parametrize("column", COLUMN_RULES)
def test_a_declared_range_holds_its_fill_and_no_value_that_the_case_table_refuses(column: ClinicalColumn) -> None:
    rule = COLUMN_RULES[column]
    assert rule.low <= rule.fill <= rule.high
    assert rule.low < rule.high
    if rule.kind == "binary":
        assert {rule.low, rule.high} == {0.0, 1.0}
        assert rule.fill in (0.0, 1.0)
    if rule.kind == "continuous" and column in CaseRow.model_fields:
        case(**{column: int(rule.low)})
        case(**{column: int(rule.high)})


@pytest.mark.parametrize("column", COLUMN_RULES)
def test_a_rule_is_about_the_dictionarys_column(column: ClinicalColumn) -> None:
    rule, entry = COLUMN_RULES[column], DICTIONARY[column]
    if rule.kind == "continuous":
        assert (rule.unit, rule.low) == (entry.unit, entry.low)
        assert entry.high is not None
        assert rule.high <= entry.high
    else:
        assert entry.kind in ("yes or no", "code")


@pytest.mark.parametrize(("column", "largest"), [("age_years", 120), ("nihss", 42), ("aspects", 10)])
def test_a_score_has_the_case_tables_own_range(column: ClinicalColumn, largest: int) -> None:
    assert (COLUMN_RULES[column].low, COLUMN_RULES[column].high) == (0, largest)
    with pytest.raises(ValueError, match="less than or equal"):
        case(**{column: largest + 1})


def test_fill_in_values_are_the_papers_medians() -> None:
    """EJR 2025, table 1, training column."""
    printed = {
        "age_years": 81, "nihss": 15, "aspects": 9, "cbf_under_30_ml": 0, "tmax_over_10_s_ml": 40,
        "tmax_over_6_s_ml": 102, "tmax_over_4_s_ml": 191, "hypoperfusion_intensity_ratio": 0.43,
        "tmax4_to_tmax6_ratio": 1.78,
    }  # fmt: skip
    shares = {
        "sex": 0.543, "hypertension": 0.399, "dyslipidaemia": 0.439, "diabetes": 0.264, "atrial_fibrillation": 0.343,
        "smoker": 0.233, "unwitnessed_onset": 0.366, "iv_thrombolysis": 0.372,
    }  # fmt: skip
    expected = printed | {name: float(share > 0.5) for name, share in shares.items()}
    assert {name: COLUMN_RULES[name].fill for name in COLUMN_RULES if name in expected} == expected
    assert COLUMN_RULES.keys() - expected.keys() == {"occlusion_side", "occlusion_site"}


def test_the_page_shows_the_rules() -> None:
    shown = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    rows = [
        f"| `{name}` | {rule.kind} | {rule.unit} | {rule.code} | {rule.low:g}–{rule.high:g} | {rule.fill:g} |"
        for name, rule in COLUMN_RULES.items()
    ]
    assert shown[: len(rows)] == rows
