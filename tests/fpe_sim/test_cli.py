"""`fpe-sim` from outside: what it lists, and how it ends when something is wrong."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fpe_core import __version__
from fpe_sim.cli import main
from fpe_sim.scenario import scenario_names

RUNNER = CliRunner()


def test_scenarios_are_listed_for_people_and_for_machines() -> None:
    words = RUNNER.invoke(main, ["list"])
    assert words.exit_code == 0
    assert [line.split()[0] for line in words.stdout.splitlines()] == list(scenario_names())
    envelope = json.loads(RUNNER.invoke(main, ["list", "--json"]).stdout)
    assert tuple(envelope["data"]["scenarios"]) == scenario_names()
    assert (envelope["status"], envelope["exit_code"]) == ("ok", 0)


@pytest.mark.parametrize("command", ["run", "demo"])
def test_a_scenario_that_is_not_there_ends_with_its_code(command: str, tmp_path: Path) -> None:
    named = ["nowhere.yaml"] if command == "run" else ["--scenario", "nowhere.yaml"]
    done = RUNNER.invoke(main, [command, *named, "--out", str(tmp_path / "out"), "--json"])
    assert done.exit_code == 3
    envelope = json.loads(done.stdout)
    assert (envelope["status"], envelope["exit_code"], envelope["data"]["code"]) == ("error", 3, "FPE-101")
    assert "hint: scenarios: " in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_version_is_the_packages() -> None:
    assert RUNNER.invoke(main, ["--version"]).stdout == f"fpe-sim {__version__}\n"
