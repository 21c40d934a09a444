"""A clinical row goes to the one case that it is about, or to none."""

from datetime import date
from pathlib import Path

import pytest

from fpe_core.errors import ImportFailed
from fpe_core.imaging.dicom.clinic import ClinicalTable, ImportedCase, join, read_clinical


def table(*rows: tuple[str, str]) -> ClinicalTable:
    """Rows of a patient and a treatment date."""
    return ClinicalTable(
        ("treatment_date",), (), tuple((n, who, {"treatment_date": day}) for n, (who, day) in enumerate(rows, start=2))
    )


def case(name: str, day: int | None, patient: str = "A") -> ImportedCase:
    return ImportedCase(name, patient, None if day is None else date(2024, 3, day))


@pytest.mark.parametrize(
    ("rows", "cases", "joined"),
    [
        ([("A", "")], [case("c1", 10)], {"c1"}),
        ([("A", "")], [case("c1", 10), case("c2", 12)], set()),
        ([("A", ""), ("A", "")], [case("c1", 10)], set()),
        ([("A", "2024-03-10")], [case("c1", 10), case("c2", 10)], {"c1"}),
        ([("A", "2024-03-11")], [case("c1", 10), case("c2", 11)], {"c1"}),
        ([("A", "2024-03-12")], [case("c1", 10), case("c2", 12)], {"c2"}),
        ([("A", "2024-03-09")], [case("c1", 10)], set()),
        ([("A", "2024-03-12")], [case("c1", 10)], set()),
        ([("A", "2024-03-10")], [case("c1", None)], set()),
        ([("A", "10.03.2024")], [case("c1", 10)], set()),
        ([("A", "2024-03-10"), ("A", "2024-03-20")], [case("c1", 10), case("c2", 20)], {"c1", "c2"}),
        ([("A", "2024-03-10"), ("A", "2024-03-10")], [case("c1", 10)], set()),
        ([("B", "")], [case("c1", 10)], set()),
    ],
)
def test_each_row_fits_one_case_or_none(
    rows: list[tuple[str, str]], cases: list[ImportedCase], joined: set[str]
) -> None:
    result = join(table(*rows), cases)
    assert set(result.cells) == joined
    assert len(result.cells) + len(result.unjoined) == len(rows), "no row is lost"


def test_only_known_columns_and_those_asked_for_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text('id,Name,nihss,remark,ncct\n4711,Müller,12,"two\nlines",x.nii\n\n', encoding="utf-8")
    read = read_clinical(path, "id", ["remark"])
    assert read.columns == ("nihss", "remark")
    assert read.dropped == ("Name", "ncct")
    assert [(who, cells) for _, who, cells in read.rows] == [("4711", {"nihss": "12", "remark": "two\nlines"})]
    assert "Müller" not in repr(read)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"id,id\n1,2\n", "expected one column 'id'"),
        (b"", "got nothing"),
        (b"id,nihss\n1\n", ":2: expected 2 cells"),
        (b"id,nihss\nM\xfcller,1\n", "UTF-8"),
    ],
)
def test_what_is_no_table_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(content)
    with pytest.raises(ImportFailed, match=said):
        read_clinical(path, "id", [])


@pytest.mark.parametrize("name", ["id", "case_id", "patient_id", "ncct"])
def test_columns_that_the_import_fills_are_not_kept(tmp_path: Path, name: str) -> None:
    path = tmp_path / "c.csv"
    path.write_text("id,case_id,patient_id,ncct\n1,2,3,4\n")
    with pytest.raises(ImportFailed, match="--keep"):
        read_clinical(path, "id", [name])
