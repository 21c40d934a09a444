"""What docs/cohort.md shows runs as written, and its tables say what the code does."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fpe_client.cli import main
from fpe_core.data.case_table import read_case_table
from fpe_core.data.inclusion import CRITERIA, ROW_UNUSABLE
from fpe_core.data.layouts.bids import COLUMN_OF_SUFFIX
from fpe_core.data.layouts.columns import ALIASES, column_of
from fpe_core.data.phantoms import PhantomSite, Scanner, generate_site
from fpe_core.data.phantoms.layouts import write_bids_tree, write_isles24_tree

PAGE = (Path(__file__).parents[2] / "docs" / "cohort.md").read_text()
SITE = """site: north
server: {address: 'localhost:1', ca_certificate: ca.crt}
private_key: site.key
state_dir: state
data: {cases: cases.csv}
"""


def table(header: str) -> list[list[str]]:
    """Cells of the table that starts with `header`."""
    lines = PAGE[PAGE.index(f"| {header}") :].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scanner = Scanner(spacing_mm=3.0, thickness_mm=6.5, cta_thickness_mm=3.5)
    mr = generate_site(tmp_path / "mr", PhantomSite(name="mr", num_cases=1, scanner=scanner), seed=1)
    ct = generate_site(tmp_path / "ct", PhantomSite(name="ct", num_cases=1, modality="ct", scanner=scanner), seed=1)
    write_bids_tree(tmp_path / "stroke-bids", read_case_table(mr).rows)
    write_isles24_tree(tmp_path / "isles24" / "train", read_case_table(ct).rows)
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "cases.csv").write_bytes(mr.read_bytes())
    monkeypatch.chdir(tmp_path)
    commands = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL) for line in block.splitlines()]
    assert len(commands) == 5
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "fpe-client"
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
    for made in ("stroke/cases.csv", "isles24-cases/import-report.json", "state/flow/recanalization.png"):
        assert (tmp_path / made).is_file()


def test_the_names_of_columns_are_those_of_the_code() -> None:
    rows = table("their name")
    for names, column in rows:
        assert [column_of(name.strip()) for name in names.split(",")] == [column.strip("`")] * len(names.split(","))
    assert sum(len(names.split(",")) for names, _ in rows) == len(ALIASES)


def test_the_suffixes_are_those_of_the_code() -> None:
    named = {name.lower() for row in table("suffix") for name in re.findall(r"`(\w+)`", row[0])}
    assert named == set(COLUMN_OF_SUFFIX)


def test_the_reasons_are_those_of_the_code_in_their_order() -> None:
    rows = table("`fpe`")
    for place, task in enumerate(("fpe", "recanalization", "rlvo")):
        named = [row[place] for row in rows if row[place]]
        assert named[0] in {ROW_UNUSABLE, "the same"}
        assert named[1:] == [criterion.reason for criterion in CRITERIA[task]]  # type: ignore[index]
