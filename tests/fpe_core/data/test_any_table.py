"""Whatever stands in a table: it is read, or refused in words, and each row is used or set aside, never both."""

import csv
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fpe_core.config.loader import load_yaml
from fpe_core.data.case_table import COLUMNS, CaseTable, read_case_table
from fpe_core.data.mapping import TableMapping
from fpe_core.data.table_problems import BadValues
from fpe_core.errors import CaseTableInvalid, ConfigError

QUICK = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
CELLS = st.one_of(
    st.sampled_from(["", "1", "0", "c1", "c2", "p1", "p2", "3", "2b", "F", "left", "m1", "70", "-1", "2020-01-01", "1e9"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)  # fmt: skip
RULES = st.sampled_from(["quarantine", "set_missing"])


def account_for(table: CaseTable) -> None:
    aside = {problem.line for problem in table.problems if problem.effect == "case set aside"}
    assert len(table.rows) + len(aside) == table.num_rows == len(table.rows) + sum(table.set_aside_by_code().values())
    ids = [row.case_id for row in table.rows]
    assert len(set(ids)) == len(ids)
    assert not set(ids) & set(table.quarantined)
    assert all(problem.message and problem.code.startswith("FPE-23") for problem in table.problems)


@QUICK
@given(data=st.data(), bad_values=RULES)
def test_any_cells(tmp_path: Path, data: st.DataObject, bad_values: BadValues) -> None:
    others = data.draw(st.lists(st.sampled_from(COLUMNS[2:]), unique=True, max_size=8))
    header = ["case_id", "patient_id", *others]
    rows = data.draw(st.lists(st.lists(CELLS, min_size=len(header), max_size=len(header)), min_size=1, max_size=6))
    text = StringIO()
    csv.writer(text).writerows([header, *rows])
    path = tmp_path / "cases.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    try:
        account_for(read_case_table(path, bad_values=bad_values))
    except CaseTableInvalid as error:
        assert "one row per case" in str(error) or "phantoms only" in str(error) or "line " in str(error)


@QUICK
@given(body=st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "cases.csv"
    path.write_bytes(b"case_id,patient_id,sex,dwi\n" + body)
    try:
        account_for(read_case_table(path))
    except CaseTableInvalid as error:
        assert str(path) in str(error)


@QUICK
@given(
    key=st.sampled_from(["file", "missing", "ignore", "columns"]),
    column=st.sampled_from(COLUMNS),
    option=st.sampled_from(["column", "missing", "codes", "scale", "date_format"]),
    value=st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(codec="ascii"), max_size=6),
        st.lists(st.integers(), max_size=2), st.dictionaries(st.integers(), st.booleans(), max_size=2),
    ),
)  # fmt: skip
def test_any_mapping(tmp_path: Path, key: str, column: str, option: str, value: object) -> None:
    import yaml

    (tmp_path / "mapping.yaml").write_text(
        yaml.safe_dump({key: {column: {option: value}} if key == "columns" else value}), encoding="utf-8"
    )
    (tmp_path / "cases.csv").write_text(f"case_id,patient_id\nc,p\n{column},p\n".replace("patient_id", column, 1))
    try:
        mapping = load_yaml(tmp_path / "mapping.yaml", TableMapping)
        account_for(read_case_table(tmp_path / "cases.csv", mapping=mapping))
    except (ConfigError, CaseTableInvalid) as error:
        assert str(tmp_path) in str(error)


@pytest.mark.parametrize(
    "body", [b"\x00" * 50, b"PK\x03\x04 spreadsheet", "\ufeffcase_id".encode("utf-16"), b"\xff\xfe"]
)
def test_what_is_no_text_table_is_refused_in_words(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "cases.csv"
    path.write_bytes(body)
    with pytest.raises(CaseTableInvalid) as caught:
        read_case_table(path)
    assert caught.value.hint or "missing" in str(caught.value)
