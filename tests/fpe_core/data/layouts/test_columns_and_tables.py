"""Other people's tables: how cells are read, and what stays empty."""

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpe_core.data.case_table import CaseRow
from fpe_core.data.layouts.columns import ALIASES, clinical_cells
from fpe_core.data.layouts.tables import read_table
from fpe_core.errors import ImportFailed


@pytest.mark.parametrize(
    ("header", "text", "column", "value"),
    [
        ("Age", "71.0", "age_years", "71"),
        (" age ", "71.5", "age_years", "71.5"),
        ("SEX", "Female", "sex", "F"),
        ("NIHSS at admission", "15.0", "nihss", "15"),
        ("Atrial fibrillation", "1.0", "atrial_fibrillation", "1"),
        ("Hypertension", "No", "hypertension", "0"),
        ("Hyperlipidemia", "TRUE", "dyslipidaemia", "1"),
        ("Wake-up", "0", "unwitnessed_onset", "0"),
        ("mTici postinterventional", "2B", "final_mtici", "2b"),
        ("TICI postinterventional", "TICI 2c", "final_mtici", "2c"),
        ("TICI postinterventional", "3.0", "final_mtici", "3"),
        ("occlusion_side", "Left", "occlusion_side", "left"),
        ("treatment_date", "2020-02-29", "treatment_date", "2020-02-29"),
    ],
)
def test_a_cell_is_read(header: str, text: str, column: str, value: str) -> None:
    assert clinical_cells({header: text}) == ({column: value}, [])


@pytest.mark.parametrize("text", ["", "nan", "NaN", "n/a", "-", "unknown", "None", "."])
def test_no_value_is_no_cell_and_no_note(text: str) -> None:
    assert clinical_cells({"Age": text, "Sex": text, "TICI postinterventional": text}) == ({}, [])


@pytest.mark.parametrize(
    ("header", "text"),
    [("Age", "old"), ("Age", "-3"), ("Age", "inf"), ("Sex", "1"), ("Hypertension", "2"), ("mTICI", "2"),
     ("nihss", "7.5"), ("occlusion_side", "both"), ("treatment_date", "29.2.2020")],
)  # fmt: skip
def test_a_value_that_is_not_sure_is_no_cell_and_a_note(header: str, text: str) -> None:
    cells, notes = clinical_cells({header: text})
    assert not cells
    assert len(notes) == 1


def test_two_headers_of_one_column_must_agree() -> None:
    assert clinical_cells({"Sex": "F", "Gender": "female"}) == ({"sex": "F"}, [])
    cells, notes = clinical_cells({"Sex": "F", "Gender": "M"})
    assert not cells
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("door", "imaging", "minutes"),
    [("02:10:00", "00:20:30", "150.5"), ("1 days 01:00:00", "0:10", "1510"), ("0.0625", "0.0138889", "110"),
     ("", "00:20:00", None), ("02:10:00", "nan", None), ("120", "0:10", None), ("25", "0:10", None),
     ("2:75", "0:10", None)],
)  # fmt: skip
def test_onset_to_imaging_is_the_sum(door: str, imaging: str, minutes: str | None) -> None:
    cells, _ = clinical_cells({"Onset to door": door, "Door to imaging": imaging})
    assert cells.get("onset_to_image_min") == minutes


@given(st.dictionaries(st.sampled_from([*ALIASES, "Onset to door", "nihss", "stenosis_percent"]), st.text(max_size=12)))
def test_whatever_comes_out_is_a_row(row: dict[str, str]) -> None:
    cells, _ = clinical_cells(row)
    CaseRow.model_validate({**cells, "case_id": "c", "patient_id": "p", "images": {}})


def spreadsheet(path: Path, sheet: str, shared: str = "") -> Path:
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", f"<worksheet {space}><sheetData>{sheet}</sheetData></worksheet>")
        if shared:
            archive.writestr("xl/sharedStrings.xml", f"<sst {space}>{shared}</sst>")
    return path


def test_a_spreadsheet_is_read(tmp_path: Path) -> None:
    shared = "<si><t>Age</t></si><si><r><t>NIHSS at </t></r><r><t>admission</t></r></si>"
    sheet = (
        '<row><c r="A1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c>'
        '<c r="AA1" t="inlineStr"><is><t>Sex</t></is></c></row>'
        '<row><c r="A2"><v>71</v></c><c r="B2"><v>9</v></c><c r="AA2" t="str"><v>F</v></c></row><row/>'
    )
    (row,) = read_table(spreadsheet(tmp_path / "x.xlsx", sheet, shared))
    assert row == {"Age": "71", "NIHSS at admission": "", "Sex": "F"}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_text_in_any_common_form_is_read(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(f"\ufeffAge{separator} Sex \r\n71{separator}F\r\n\r\n".encode())
    assert read_table(path) == [{"Age": "71", "Sex": "F"}]


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    entities = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 50}">' for before, name in zip("abcdef", "bcdefg", strict=True)
    )
    bomb = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(bomb, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", f"<?xml version='1.0'?>{entities}]><x>&g;</x>")
    large = tmp_path / "large.xlsx"
    with zipfile.ZipFile(large, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"\x00" * 60_000_000)
    (tmp_path / "text.xlsx").write_text("Age\n71\n")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00A")
    (tmp_path / "quotes.csv").write_text('Age\n"71\n')
    broken = [
        bomb, large, tmp_path / "text.xlsx", tmp_path / "binary.csv", tmp_path / "quotes.csv", tmp_path / "none.csv",
        spreadsheet(tmp_path / "bad.xlsx", '<row><c t="s"><v>7</v></c></row>'),
    ]  # fmt: skip
    for path in broken:
        with pytest.raises(ImportFailed, match=path.name):
            read_table(path)
