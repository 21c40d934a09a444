"""The data dictionary, the page that shows it, and the papers' columns."""

from pathlib import Path

import pytest

from fpe_core.data.case_table import COLUMNS, IMAGE_COLUMNS, CaseRow
from fpe_core.data.dictionary import DICTIONARY, REQUIRED, Column
from fpe_core.data.labels import OUTCOME_GRID, definition_of

PAGE = (Path(__file__).parents[3] / "docs" / "case-table.md").read_text(encoding="utf-8")


def test_the_dictionary_is_the_case_rows_fields_and_the_images() -> None:
    assert set(COLUMNS) == (set(CaseRow.model_fields) - {"images"}) | set(IMAGE_COLUMNS)
    assert REQUIRED == ("case_id", "patient_id")


@pytest.mark.parametrize("column", DICTIONARY.values(), ids=lambda column: column.name)
def test_an_entry_says_all_that_its_kind_needs(column: Column) -> None:
    assert column.meaning.endswith(".")
    assert column.expected
    assert column.missing == ("",)
    is_number = column.kind in ("number", "whole number")
    assert bool(column.unit) == is_number
    assert (column.low is not None and column.high is not None and column.low < column.high) == is_number
    assert bool(column.codes) == (column.kind == "code")


def test_the_papers_columns_are_all_there() -> None:
    """AJNR 2024, table 1 and outcome; EJR 2025, section 2.2.2, table 1 and its reasons to exclude."""
    ucla = {"age_years", "sex", "nihss", "iv_thrombolysis", "onset_to_image_min", "unwitnessed_onset", "num_passes",
            "mtici_after_first_pass", "final_mtici", "treatment_date", "significant_haemorrhage", "dwi", "adc", "flair",
            "ncct", "cta"}  # fmt: skip
    vall_dhebron = {
        "age_years", "sex", "hypertension", "dyslipidaemia", "diabetes", "smoker", "atrial_fibrillation", "nihss",
        "iv_thrombolysis", "unwitnessed_onset", "occlusion_side", "occlusion_site", "cbf_under_30_ml",
        "tmax_over_4_s_ml", "tmax_over_6_s_ml", "tmax_over_10_s_ml", "hypoperfusion_intensity_ratio",
        "tmax4_to_tmax6_ratio", "aspects", "stenosis_percent", "rescue_treatment", "final_mtici",
        "no_occlusion_on_angiography", "several_occlusions", "image_quality_degraded", "vessels",
    }  # fmt: skip
    assert ucla | vall_dhebron <= set(DICTIONARY)


def test_the_label_grid_covers_every_outcome_column_and_code() -> None:
    outcome = [column for column in DICTIONARY.values() if column.group == "Outcome"]
    assert list(OUTCOME_GRID) == [column.name for column in outcome]
    for column in outcome:
        assert set(column.codes) <= set(OUTCOME_GRID[column.name])
        assert None in OUTCOME_GRID[column.name]


def test_the_page_shows_the_dictionary() -> None:
    shown = [line for line in PAGE.splitlines() if line.startswith("| `") and line.split("`")[1] in DICTIONARY]
    assert shown == [f"| `{column.name}` | {column.expected} | {column.meaning} |" for column in DICTIONARY.values()]
    headings = [line.removeprefix("## ") for line in PAGE.splitlines() if line.startswith("## ")]
    groups = list(dict.fromkeys(column.group for column in DICTIONARY.values()))
    assert [heading for heading in headings if heading in groups] == groups


@pytest.mark.parametrize("task", ["fpe", "recanalization", "rlvo"])
def test_the_page_shows_the_definitions(task: str) -> None:
    assert f"| `{task}` | {definition_of(task)} |" in PAGE  # type: ignore[arg-type]
