"""Whatever stands in a table: it is read, or refused in words, and each row is used or set aside, never both."""

import csv
from io import StringIO
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fpe_core.data.case_table import COLUMNS, read_case_table
from fpe_core.data.mapping import load_mapping
from fpe_core.data.table_problems import BadValues
from fpe_core.errors import CaseTableInvalid, ConfigError

QUICK = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
CELLS = st.one_of(
    st.sampled_from(["", "1", "0", "c1", "c2", "p1", "p2", "3", "2b", "F", "70", "-1", "2020-01-01", "1e9"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)  # fmt: skip
RULES = st.sampled_from(["quarantine", "set_missing"])


def account_for(path: Path, *, bad_values: BadValues = "quarantine", mapping_file: Path | None = None) -> str:
    """Read the table and count its rows; what the reader says if it refuses the whole of it."""
    try:
        mapping = load_mapping(mapping_file) if mapping_file else None
        table = read_case_table(path, mapping=mapping, bad_values=bad_values)
    except (CaseTableInvalid, ConfigError) as error:
        return str(error)
    aside = {problem.line for problem in table.problems if problem.effect == "case set aside"}
    assert len(table.rows) + len(aside) == table.num_rows == len(table.rows) + sum(table.set_aside_by_code().values())
    ids = [row.case_id for row in table.rows]
    assert len(set(ids)) == len(ids)
    assert not set(ids) & set(table.quarantined)
    assert all(problem.message and problem.code.startswith("FPE-23") for problem in table.problems)
    return ""


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
    refused = account_for(path, bad_values=bad_values)
    assert not refused or any(words in refused for words in ("one row per case", "phantoms only", "line "))


@QUICK
@given(body=st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "cases.csv"
    path.write_bytes(b"case_id,patient_id,sex,dwi\n" + body)
    refused = account_for(path)
    assert not refused or str(path) in refused


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
    (tmp_path / "mapping.yaml").write_text(
        yaml.safe_dump({key: {column: {option: value}} if key == "columns" else value}), encoding="utf-8"
    )
    (tmp_path / "cases.csv").write_text(f"case_id,patient_id\nc,p\n{column},p\n".replace("patient_id", column, 1))
    refused = account_for(tmp_path / "cases.csv", mapping_file=tmp_path / "mapping.yaml")
    assert not refused or str(tmp_path) in refused


@pytest.mark.parametrize(
    "body", [b"\x00" * 50, b"PK\x03\x04 spreadsheet", "\ufeffcase_id".encode("utf-16"), b"\xff\xfe"]
)
def test_what_is_no_text_table_is_refused_in_words(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "cases.csv"
    path.write_bytes(body)
    with pytest.raises(CaseTableInvalid) as caught:
        read_case_table(path)
    assert caught.value.hint or "missing" in str(caught.value)
