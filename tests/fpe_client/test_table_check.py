"""`fpe-client table`: what it prints of a table with mistakes, and how it leaves."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fpe_client.cli import main
from fpe_core.data.dictionary import DICTIONARY

HEADER = "case_id,patient_id,nihss,sex,num_passes,mtici_after_first_pass,final_mtici\n"
ROWS = "good-1,p1,3,F,1,3,3\ngood-2,p2,,M,3,2a,2b\ngood-3,p3,,M,,,\nbad-1,p4,99,F,1,3,3\nbad-2,p5,4,[red]w,1,2a,3\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(
        "site: north\nserver: {address: 'localhost:9092', ca_certificate: ca.crt}\nprivate_key: site.key\n"
        "state_dir: state\ndata: {cases: cases.csv}\n"
    )
    return path


def run(site: Path, table: str, *words: str) -> Result:
    site.with_name("cases.csv").write_text(table)
    return CliRunner().invoke(main, ["table", "--site", str(site), *words])


def document(result: Result) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(result.stdout)
    assert parsed["exit_code"] == result.exit_code
    return parsed


def test_a_table_with_mistakes_is_told_line_by_line(site: Path) -> None:
    result = run(site, HEADER + ROWS)
    assert result.exit_code == 0
    assert "5 rows, 3 usable, 2 set aside" in result.stdout
    said = " ".join(result.stdout.split())
    assert "5 bad-1 nihss FPE-231 expected a whole number from 0 to 42 (point), got '99' case set aside" in said
    assert "6 bad-2 sex FPE-232 expected one of F, M, got '[red]w' case set aside" in said
    assert "fpe 1 1 1" in said
    assert "hint for FPE-231" in result.stderr


def test_the_same_for_machines(site: Path) -> None:
    found = document(run(site, HEADER + ROWS, "--json"))["data"]
    assert (found["rows"], found["usable"]) == (5, 3)
    assert found["set_aside_by_code"] == {"FPE-231": 1, "FPE-232": 1}
    assert found["labels"]["fpe"] == {"positive": 1, "negative": 1, "undecided": 1}
    assert found["labels"]["rlvo"] == {"positive": 0, "negative": 0, "undecided": 3}
    assert [problem["line"] for problem in found["problems"]] == [5, 6, 6]
    assert set(found["problems"][0]) == {"line", "column", "code", "message", "case_id", "effect"}


def test_the_sites_rule_and_mapping_hold(site: Path) -> None:
    site.with_name("mapping.yaml").write_text("columns: {nihss: {missing: [99]}}\n")
    text = site.read_text().replace("cases.csv", "cases.csv, mapping: mapping.yaml, bad_values: set_missing")
    site.write_text(text)
    found = document(run(site, HEADER + ROWS, "--json"))["data"]
    assert (found["usable"], found["set_aside_by_code"]) == (5, {})
    assert {problem["effect"] for problem in found["problems"]} == {"column set missing"}


def test_a_table_without_problems_is_short(site: Path) -> None:
    result = run(site, HEADER + "c,p,,,1,3,3\n")
    assert result.exit_code == 0
    assert "1 rows, 1 usable, 0 set aside" in result.stdout
    assert "FPE-" not in result.stdout
    assert result.stderr == ""


def test_no_usable_case_is_exit_code_4_with_the_reasons(site: Path) -> None:
    result = run(site, HEADER + "c,p,99,,,,\n")
    assert result.exit_code == 4
    assert "FPE-231" in result.stdout
    assert "error [FPE-202]" in result.stderr
    parsed = document(run(site, HEADER + "c,p,99,,,,\n", "--json"))
    assert (parsed["status"], parsed["exit_code"]) == ("error", 4)
    assert parsed["data"]["problems"][0]["case_id"] == "c"


def test_a_file_that_is_no_table_is_one_error(site: Path) -> None:
    result = run(site, "case_id;patient_id\n", "--json")
    assert document(result)["data"]["code"] == "FPE-201"
    assert "error [FPE-201]" in result.stderr
    assert "Traceback" not in result.output


def test_a_long_list_is_cut_and_counted(site: Path) -> None:
    rows = "".join(f"c{i},p{i},99,,,,\n" for i in range(150))
    result = run(site, HEADER + "good,p,,,,,\n" + rows)
    assert "and 50 more problems; --json lists all" in result.stdout
    assert "150" in result.stdout
    assert len(document(run(site, HEADER + "good,p,,,,,\n" + rows, "--json"))["data"]["problems"]) == 150


def test_the_dictionary_needs_no_site() -> None:
    result = CliRunner().invoke(main, ["table", "--dictionary"])
    assert result.exit_code == 0
    assert all(name in result.stdout for name in DICTIONARY)
    columns = document(CliRunner().invoke(main, ["table", "--dictionary", "--json"]))["data"]["columns"]
    assert [column["name"] for column in columns] == list(DICTIONARY)
    (nihss,) = [column for column in columns if column["name"] == "nihss"]
    assert (nihss["unit"], nihss["low"], nihss["high"], nihss["missing"]) == ("point", 0, 42, [""])


def test_without_a_site_it_says_what_is_missing() -> None:
    result = CliRunner().invoke(main, ["table"])
    assert result.exit_code == 2
    assert "--site FILE, or --dictionary" in result.stderr


def test_the_help_has_an_example() -> None:
    said = " ".join(CliRunner().invoke(main, ["table", "--help"]).stdout.split())
    assert "Example: fpe-client table --site" in said
