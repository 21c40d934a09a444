"""A hospital's own table: the mapping file, and what it makes of a table."""

import re
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from fpe_core.data.case_table import CaseTable, read_case_table
from fpe_core.data.mapping import TableMapping, as_number, load_mapping
from fpe_core.errors import CaseTableInvalid, ConfigError

PAGE = (Path(__file__).parents[3] / "docs" / "case-table.md").read_text(encoding="utf-8")


def mapped(folder: Path, mapping: str, text: str, *, encoding: str = "utf-8") -> CaseTable:
    (folder / "mapping.yaml").write_text(mapping, encoding="utf-8")
    (folder / "cases.csv").write_text(text, encoding=encoding)
    return read_case_table(folder / "cases.csv", mapping=load_mapping(folder / "mapping.yaml"))


def test_the_pages_example_reads_the_pages_table(tmp_path: Path) -> None:
    (mapping,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    text = re.findall(r"```csv\n(.*?)```", PAGE, flags=re.DOTALL)[1]
    table = mapped(tmp_path, mapping, text, encoding="cp1252")
    assert table.problems == ()
    first, second = table.rows
    assert (first.case_id, first.patient_id, first.treatment_date) == ("F-1", "P-1", date(2021, 4, 3))
    assert (first.age_years, first.sex, first.nihss, first.onset_to_image_min) == (71.0, "F", 15, 150.0)
    assert (first.iv_thrombolysis, first.occlusion_side, first.occlusion_site) == (True, "left", "m1")
    assert (first.num_passes, first.final_mtici) == (1, "2b")
    assert first.images == {"dwi": tmp_path / "F-1.nii.gz"}
    assert (second.nihss, second.onset_to_image_min, second.iv_thrombolysis) == (None, None, False)
    assert (second.occlusion_side, second.occlusion_site, second.final_mtici) == ("right", "ica", "2a")


def test_the_pages_first_table_is_the_platforms_own_form(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text(re.findall(r"```csv\n(.*?)```", PAGE, flags=re.DOTALL)[0])
    assert len(read_case_table(tmp_path / "cases.csv").rows) == 2


def test_without_differences_the_mapping_changes_nothing(tmp_path: Path) -> None:
    text = "case_id,patient_id,sex,nihss\nc1,p1,F,3\nc2,p2,M,x\n"
    with_mapping = mapped(tmp_path, "schema_version: 1\n", text)
    assert with_mapping == read_case_table(tmp_path / "cases.csv")


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("ja", True),
        ("JA", True),
        ("yes", True),
        ("on", True),
        ("nein", False),
        ("no", False),
        ("2", False),
        ("2.0", False),
    ],
)
def test_codes_in_any_case_and_as_yaml_reads_them(tmp_path: Path, cell: str, value: bool) -> None:
    mapping = "columns: {smoker: {codes: {ja: yes, nein: no, yes: 1, no: 0, 02: false}}}\n"
    table = mapped(tmp_path, mapping, f"case_id,patient_id,smoker\nc,p,{cell}\n")
    assert table.rows[0].smoker is value


@pytest.mark.parametrize("cell", ["1", "3", "yes", "m"])
def test_with_a_mapping_only_its_codes_count(tmp_path: Path, cell: str) -> None:
    table = mapped(tmp_path, "columns: {sex: {codes: {0: M, 2: F}}}\n", f"case_id,patient_id,sex\nc,p,{cell}\n")
    assert table.quarantined == {"c": "FPE-232"}
    assert "one of 0, 2 (codes in the mapping)" in table.problems[0].message


@pytest.mark.parametrize("cell", ["-9", "-9.0", "-09", "NA", "na", "Null", "unknown", "?", "  "])
def test_marks_for_what_is_not_known(tmp_path: Path, cell: str) -> None:
    mapping = 'missing: [-9, NA, null, Unknown, "?"]\n'
    table = mapped(tmp_path, mapping, f"case_id,patient_id,nihss,sex,dwi\nc,p,{cell},{cell},{cell}\n")
    assert table.problems == ()
    assert (table.rows[0].nihss, table.rows[0].sex, table.rows[0].images) == (None, None, {})


def test_a_mark_of_one_column_is_a_value_in_another(tmp_path: Path) -> None:
    mapping = "columns: {nihss: {missing: 9}}\n"
    (row,) = mapped(tmp_path, mapping, "case_id,patient_id,nihss,aspects\nc,p,9,9\n").rows
    assert (row.nihss, row.aspects) == (None, 9)


def test_a_missing_mark_in_an_id_leaves_it_missing(tmp_path: Path) -> None:
    table = mapped(tmp_path, "missing: [NA]\n", "case_id,patient_id\nc,NA\n")
    assert table.quarantined == {"c": "FPE-230"}


def test_units_are_exact(tmp_path: Path) -> None:
    mapping = "columns: {age_years: {scale: 1/12}, onset_to_image_min: {scale: 60}, stenosis_percent: {scale: 0.1}}\n"
    text = "case_id,patient_id,age_years,onset_to_image_min,stenosis_percent\nc,p,1,0.7,3\n"
    (row,) = mapped(tmp_path, mapping, text).rows
    assert (row.age_years, row.onset_to_image_min, row.stenosis_percent) == (1 / 12, 42.0, 0.3)


def test_the_range_is_that_of_the_platforms_unit(tmp_path: Path) -> None:
    mapping = "columns: {age_years: {column: months, scale: 1/12}}\n"
    table = mapped(tmp_path, mapping, "case_id,patient_id,months\na,p,1440\nb,q,1441\n")
    assert [row.age_years for row in table.rows] == [120.0]
    message = table.problems[0].message
    assert message == "months: expected a number from 0 to 120 (year), got '1441', which is 120.083 year"


@pytest.mark.parametrize("cell", ["1.234", "1.234,5", "1,2,3"])
def test_a_point_among_decimal_commas_is_refused(tmp_path: Path, cell: str) -> None:
    mapping = 'file: {separator: ";", decimal: ","}\n'
    table = mapped(tmp_path, mapping, f"case_id;patient_id;onset_to_image_min\na;p;{cell}\nb;q;2,5\n")
    assert table.quarantined == {"a": "FPE-231"}
    assert "with a decimal comma" in table.problems[0].message
    assert table.rows[0].onset_to_image_min == 2.5


def test_tabs(tmp_path: Path) -> None:
    assert mapped(tmp_path, "file: {separator: tab}\n", "case_id\tpatient_id\tsex\nc\tp\tF\n").rows[0].sex == "F"


def test_one_patient_number_may_serve_for_both_ids(tmp_path: Path) -> None:
    mapping = "columns: {case_id: Nr, patient_id: Nr}\n"
    (row,) = mapped(tmp_path, mapping, "Nr\n17\n").rows
    assert (row.case_id, row.patient_id) == ("17", "17")


def test_signs_that_an_id_may_not_have_are_replaced(tmp_path: Path) -> None:
    text = "Nr,Patient\n2021/0034,M 7\n2021/0035,ü\n2021-0036,p\n2021/0036,q\n"
    mapping = (
        'columns: {case_id: {column: Nr, replace: {"/": "-"}}, patient_id: {column: Patient, replace: {" ": _}}}\n'
    )
    table = mapped(tmp_path, mapping, text)
    assert [(row.case_id, row.patient_id) for row in table.rows] == [("2021-0034", "M_7")]
    assert {problem.line: problem.code for problem in table.problems} == {3: "FPE-231", 4: "FPE-234", 5: "FPE-234"}
    assert "`replace`" in table.problems[0].message


def test_ignored_columns_may_stand_twice(tmp_path: Path) -> None:
    text = "case_id,patient_id,A,A,note_x,note_x\nc,p,1,2,3,4\n"
    assert len(mapped(tmp_path, "ignore: [A]\n", text).rows) == 1


def test_ignored_columns(tmp_path: Path) -> None:
    text = "case_id,patient_id,Labor_Hb,Labor_Na,sex,note_x\nc,p,1,2,anything,3\n"
    assert mapped(tmp_path, 'ignore: ["Labor_*", sex]\n', text).rows[0].sex is None
    everything = mapped(tmp_path, 'ignore: ["*"]\n', text)
    assert everything.problems[0].column == "sex", "* leaves the platform's own columns"


@pytest.mark.parametrize(
    ("mapping", "header", "told", "hint"),
    [
        ("columns: {sex: Sexus}\n", "case_id,patient_id,Sexuss", "Sexus: the mapping reads sex", "'Sexuss'"),
        ("columns: {sex: G}\n", "case_id,patient_id,G,sex", "sex: stands here twice, once as G", "ignore"),
        ("columns: {case_id: Nr}\n", "Nr,sex", "patient_id: required, and missing", ""),
        ("ignore: [A]\n", "case_id,patient_id,Xyz", "Xyz: unknown", "ignore it"),
        ("columns: {sex: A}\n", "case_id,patient_id,A,A", "A: stands here twice", ""),
    ],
)  # fmt: skip
def test_headers_that_do_not_fit_the_mapping(tmp_path: Path, mapping: str, header: str, told: str, hint: str) -> None:
    with pytest.raises(CaseTableInvalid) as caught:
        mapped(tmp_path, mapping, f"{header}\n1,2,3,4\n")
    assert told in str(caught.value)
    assert ":1: column" in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("mapping", "where", "told"),
    [
        ("schema_version: 1\ncolumns:\n  sexx: A\n", ":3: columns.sexx", "unknown key"),
        ("columns:\n  case_id: x\n  sex:\n    codes:\n      1: X\n", ":5: columns.sex.codes.1", "'F' or 'M'"),
        ("columns:\n  smoker:\n    codes:\n      ja: vielleicht\n", ":4: columns.smoker.codes.ja", "boolean"),
        ("columns:\n  sex:\n    scale: 60\n", ":3: columns.sex.scale", "unknown key, expected one of codes"),
        ("columns:\n  age_years:\n    scale: 0\n", ":3: columns.age_years.scale", "greater than 0"),
        ("columns:\n  age_years:\n    scale: 1/0\n", ":3: columns.age_years.scale", "fraction"),
        ("columns:\n  dwi:\n    replace: {a: b}\n", ":3: columns.dwi.replace", "unknown key"),
        ("columns:\n  case_id:\n    replace: {'': b}\n", ":3: columns.case_id.replace", "at least 1"),
        ("columns:\n  age_years:\n    codes: {1: 2}\n", ":3: columns.age_years.codes", "unknown key"),
        (
            'columns:\n  treatment_date:\n    date_format: "%d.%m"\n',
            ":3: columns.treatment_date",
            "day, month and year",
        ),
        ('file:\n  separator: "|"\n', ":2: file.separator", "';' or 'tab'"),
        ("missing:\n  a: b\n", ":1: missing", "should be a list, such as [a, b]"),
        ("columns: [sex]\n", ":1: columns", "should be keys with values"),
        ("columns:\n  sex: {column: G\n", ":3:", "not valid YAML"),
        ("columns:\n  sex: A\n  sex: B\n", ":3:", "twice"),
    ],
)
def test_a_mistake_in_the_mapping_is_told_with_its_line(tmp_path: Path, mapping: str, where: str, told: str) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text(mapping)
    with pytest.raises(ConfigError) as caught:
        load_mapping(path)
    assert where in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", Fraction(1)), ("-9.0", Fraction(-9)), ("+3", Fraction(3)), (".5", Fraction(1, 2)), ("5.", Fraction(5)),
        ("1e3", Fraction(1000)), ("1.5E-1", Fraction(3, 20)), ("0.1", Fraction(1, 10)),
        ("", None), (".", None), ("-", None), ("1e", None), ("1e999", None), ("1_0", None), ("1,5", None),
        ("1 0", None), ("0x10", None), ("nan", None), ("inf", None), ("٣", None), ("²", None), ("1/2", None),
    ],
)  # fmt: skip
def test_what_is_a_number(text: str, number: Fraction | None) -> None:
    assert as_number(text) == number


def test_the_default_is_the_platforms_own_form() -> None:
    assert TableMapping().named == ()
    assert TableMapping().header_of("sex") == "sex"
