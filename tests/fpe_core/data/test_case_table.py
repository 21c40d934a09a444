from pathlib import Path

import pytest

from fpe_core.data.case_table import COLUMNS, read_case_table
from fpe_core.errors import CaseTableInvalid

DOCS = Path(__file__).parents[3] / "docs" / "case-table.md"


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
        "c2,p1,/archive/c2_dwi.nii.gz,c2_adc.nii.gz,,,0,,3,\n",
    )
    first, second = read_case_table(path).rows
    assert first.images == {"dwi": tmp_path / "scans/c1_dwi.nii.gz", "flair": tmp_path / "scans/c1_flair.nii.gz"}
    assert (first.age_years, first.atrial_fibrillation, first.occlusion_side) == (71.5, True, "left")
    assert second.images["dwi"] == Path("/archive/c2_dwi.nii.gz")
    assert (second.patient_id, second.age_years, second.final_mtici) == ("p1", None, "3")
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
        ("case_id;patient_id;dwi\n", ":1: column", "unknown", "commas"),
        ("case_id,dwi\nc1,x.nii\n", ":1: column patient_id", "required, and missing", ""),
        ("case_id,patient_id,dwi,dwi\n", ":1: column dwi", "twice", ""),
        ("case_id,patient_id\nc1,p1\nc1,p2\n", ":3: column case_id", "already on line 2", ""),
        ("case_id,patient_id\nc1,\n", ":2: column patient_id", "required, and empty", ""),
        ("case_id,patient_id\n../c1,p1\n", ":2: column case_id", "match pattern", "Letters"),
        ("case_id,patient_id,nihss\nc1,p1,43\n", ":2: column nihss", "less than or equal to 42", "0 to 42"),
        ("case_id,patient_id,age_years\nc1,p1,nan\n", ":2: column age_years", "finite", "years"),
        ("case_id,patient_id,final_mtici\nc1,p1,2d\n", ":2: column final_mtici", "'2b'", "empty"),
        ("case_id,patient_id,dwi\nc1,p1\n", ":2:", "expected 3 cells", ""),
        ("case_id,patient_id\n", "cases.csv", "one row per case", ""),
        ("", ":1: column case_id", "required, and missing", ""),
        ("case_id,patient_id,synthetic\nc1,p1,1\nc2,p2,0\n", "synthetic", "got both", ""),
        ('case_id,patient_id\n"c1"x,p1\n', "cases.csv", "not a comma-separated", "UTF-8"),
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


def test_documentation_lists_every_column() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert [name for name in COLUMNS if f"`{name}`" not in text] == []
