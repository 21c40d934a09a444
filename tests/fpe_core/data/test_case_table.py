from pathlib import Path

import pytest

from fpe_core.config.site import SiteData
from fpe_core.data.case_table import read_case_table, read_site_table
from fpe_core.errors import CaseTableInvalid


def write(folder: Path, text: str) -> Path:
    path = folder / "cases.csv"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> CaseTableInvalid:
    with pytest.raises(CaseTableInvalid) as caught:
        read_case_table(write(folder, text))
    return caught.value


def test_reads_paths_clinic_and_outcome(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "case_id,patient_id,dwi,adc,flair,age_years,atrial_fibrillation,occlusion_side,final_mtici,note_ward\n"
        "c1,p1,scans/c1_dwi.nii.gz,,scans/c1_flair.nii.gz,71.5,1,left,2b,ward 3\n\n"
        "c2,p2,/archive/c2_dwi.nii.gz,c2_adc.nii.gz,,,0,,3,\n",
    )
    first, second = read_case_table(path).rows
    assert first.images == {"dwi": tmp_path / "scans/c1_dwi.nii.gz", "flair": tmp_path / "scans/c1_flair.nii.gz"}
    assert (first.age_years, first.atrial_fibrillation, first.occlusion_side) == (71.5, True, "left")
    assert second.images["dwi"] == Path("/archive/c2_dwi.nii.gz")
    assert (second.patient_id, second.age_years, second.final_mtici) == ("p2", None, "3")
    assert not read_case_table(path).synthetic


def test_reads_a_table_saved_by_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_bytes(b"\xef\xbb\xbfcase_id, patient_id,sex\r\nc1,p1, F \r\n")
    assert read_case_table(path).rows[0].sex == "F"


def test_sequences_that_follow_from_others_count_as_available(tmp_path: Path) -> None:
    rows = read_case_table(
        write(tmp_path, "case_id,patient_id,dwi,b0,b1000\nc1,p1,,b0.nii,b1000.nii\nc2,p2,d.nii,,\nc3,p3,,b0.nii,\n")
    ).rows
    assert rows[0].available_sequences == {"b0", "b1000", "dwi", "adc"}
    assert rows[1].available_sequences == {"dwi"}
    assert rows[2].available_sequences == {"b0"}


def test_synthetic_flag_marks_the_table(tmp_path: Path) -> None:
    assert read_case_table(write(tmp_path, "case_id,patient_id,synthetic\nc1,p1,1\nc2,p2,1\n")).synthetic


@pytest.mark.parametrize(
    ("text", "where", "expected", "hint"),
    [
        ("case_id,patient_id,nihs\nc1,p1,3\n", ":1: column nihs", "unknown", "'nihss'"),
        ("case_id,patient_id,NIHSS\nc1,p1,3\n", ":1: column NIHSS", "unknown", "'nihss'"),
        ("case_id;patient_id;dwi\n", ":1: column", "unknown", "commas"),
        ("case_id,dwi\nc1,x.nii\n", ":1: column patient_id", "required, and missing", ""),
        ("case_id,patient_id,dwi,dwi\n", ":1: column dwi", "twice", ""),
        ("case_id,patient_id\n", "cases.csv", "one row per case", ""),
        ("", ":1: column case_id", "required, and missing", ""),
        ("case_id,patient_id,synthetic\nc1,p1,1\nc2,p2,0\n", "synthetic", "got both", ""),
        ('case_id,"patient_id"x\nc1,p1\n', "cases.csv", "line 1", "UTF-8"),
        ('case_id,patient_id\nc1,p1\n"c2,p2\nc3,p3\n', "cases.csv", "line 3", "UTF-8"),
    ],
)
def test_says_file_line_column_and_expected(tmp_path: Path, text: str, where: str, expected: str, hint: str) -> None:
    error = refusal(tmp_path, text)
    assert "cases.csv" in str(error)
    assert where in str(error)
    assert expected in str(error)
    assert hint in error.hint


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaseTableInvalid, match="no such file"):
        read_case_table(tmp_path / "absent.csv")


def test_latin1_table_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_bytes("case_id,patient_id,note_a\nc1,p1,é\n".encode("latin-1"))
    with pytest.raises(CaseTableInvalid, match="UTF-8"):
        read_case_table(path)


def test_excess_empty_cells_of_a_spreadsheet_are_nothing(tmp_path: Path) -> None:
    table = read_case_table(write(tmp_path, "case_id,patient_id,sex,,\nc1,p1,F,,,,\n,,,,\nc2,p2,M,,\n"))
    assert [(row.case_id, row.sex) for row in table.rows] == [("c1", "F"), ("c2", "M")]
    assert table.problems == ()


def test_a_line_is_counted_where_its_row_starts(tmp_path: Path) -> None:
    text = 'case_id,patient_id,note_ward,nihss\nc1,p1,"two\nlines",3\n\nc2,p2,"three\n\nlines",99\n'
    table = read_case_table(write(tmp_path, text))
    assert [problem.line for problem in table.problems] == [5]


def test_numbers_and_codes_as_programs_write_them(tmp_path: Path) -> None:
    """pandas writes whole numbers of a column with gaps as 15.0; people write codes in capitals."""
    header = "case_id,patient_id,nihss,smoker,final_mtici,sex,occlusion_site,onset_to_image_min"
    (row,) = read_case_table(write(tmp_path, f"{header}\nc1,p1,15.0,1.0,2B,f,ICA,1.5e2\n")).rows
    assert (row.nihss, row.smoker, row.final_mtici, row.sex, row.occlusion_site) == (15, True, "2b", "F", "ica")
    assert row.onset_to_image_min == 150.0


def test_a_site_file_names_mapping_and_rule(tmp_path: Path) -> None:
    cases = write(tmp_path, "Fall;patient_id;nihss\nc1;p1;99\n")
    (tmp_path / "mapping.yaml").write_text('file: {separator: ";"}\ncolumns: {case_id: Fall}\n')
    plain = SiteData.model_validate({"cases": "cases.csv", "mapping": "mapping.yaml", "bad_values": "set_missing"})
    data = plain.resolved(tmp_path)
    assert data.cases == cases
    table = read_site_table(data)
    assert [(row.case_id, row.nihss) for row in table.rows] == [("c1", None)]
    aside = read_site_table(data.model_copy(update={"bad_values": "quarantine"}))
    assert (aside.rows, aside.quarantined) == ((), {"c1": "FPE-231"})
