"""`fpe-sim` from outside: what it lists and shows, and how it ends when something is wrong."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from fpe_core import __version__
from fpe_sim.cli import main
from fpe_sim.protocol import protocol_names
from fpe_sim.scenario import Scenario, load_scenario, scenario_names

RUNNER = CliRunner()


def fpe_sim(*words: str | Path) -> Result:
    return RUNNER.invoke(main, [str(word) for word in words])


def test_protocols_and_scenarios_are_listed_for_people_and_for_machines() -> None:
    words = fpe_sim("list")
    assert words.exit_code == 0
    names = [line.split()[0] for line in words.stdout.splitlines()]
    assert names == [*protocol_names(), *scenario_names()]
    assert all(len(line.split()) > 3 for line in words.stdout.splitlines())
    envelope = json.loads(fpe_sim("list", "--json").stdout)
    assert tuple(envelope["data"]["scenarios"]) == scenario_names()
    assert tuple(envelope["data"]["protocols"]) == protocol_names()
    assert (envelope["status"], envelope["exit_code"]) == ("ok", 0)


@pytest.mark.parametrize("command", ["run", "show", "demo"])
def test_a_name_that_nobody_knows_ends_with_its_code(command: str, tmp_path: Path) -> None:
    named = ["--scenario", "nowhere.yaml"] if command == "demo" else ["nowhere.yaml"]
    out = [] if command == "show" else ["--out", tmp_path / "out"]
    done = fpe_sim(command, *named, *out, "--json")
    assert done.exit_code == 3
    envelope = json.loads(done.stdout)
    assert (envelope["status"], envelope["exit_code"], envelope["data"]["code"]) == ("error", 3, "FPE-101")
    assert "scenarios: federated-mr-small" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_version_is_the_packages() -> None:
    assert fpe_sim("--version").stdout == f"fpe-sim {__version__}\n"


def test_what_show_prints_is_the_same_protocol_again(tiny: Path, tiny_kind: object) -> None:
    shown = fpe_sim("show", tiny).stdout
    again = tiny.with_name("again.yaml")
    again.write_text(shown)
    first, second = (json.loads(fpe_sim("show", path, "--json").stdout)["data"] for path in (tiny, again))
    assert first == second == yaml.safe_load(shown)
    assert first["work"] == {"steps": 3, "wait_s": 0.0, "fails_at": None}
    assert "# Cohort sizes as a share of the paper's.\n  scale: 1.0" in shown


def test_a_scenario_is_shown_too() -> None:
    shown = Scenario.model_validate(yaml.safe_load(fpe_sim("show", "federated-mr-small").stdout))
    assert shown == load_scenario("federated-mr-small")


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(tiny: Path) -> None:
    out = tiny.parent / "out"
    done = fpe_sim("run", tiny, "--out", out, "--scale", "0.25", "--jobs", "2", "--dry-run", "--json")
    assert done.exit_code == 0
    data = json.loads(done.stdout)["data"]
    assert data == {"cohorts": {"phantoms-a": 25}, "num_trainings": 5, "seconds": 3600.0, "disk_bytes": 3_500_000_000}
    assert "about 60 min with 2 jobs" in done.stderr
    assert "about 3.5 GB" in done.stderr
    assert not out.exists()


def test_a_dry_run_for_a_gpu_has_no_measured_time(tiny: Path) -> None:
    done = fpe_sim("run", tiny, "--dry-run", "--device", "cuda", "--json")
    assert json.loads(done.stdout)["data"]["seconds"] is None
    assert "not measured" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run"], "NAME"),
        (["run", "TINY"], "--out DIR"),
        (["run", "--resume"], "--out DIR"),
        (["run", "TINY", "--resume", "--out", "out"], "--resume takes"),
        (["run", "--resume", "--scale", "0.5", "--out", "out"], "--resume takes"),
        (["run", "federated-mr-small", "--out", "out", "--scale", "0.5"], "scenario takes"),
        (["run", "federated-mr-small", "--out", "out", "--dry-run"], "scenario takes"),
    ],
)
def test_options_that_do_not_go_together_are_a_wrong_command_line(words: list[str], said: str, tiny: Path) -> None:
    there = [str(tiny) if word == "TINY" else str(tiny.parent / word) if word == "out" else word for word in words]
    done = fpe_sim(*there)
    assert done.exit_code == 2
    assert said in done.stderr
    assert not (tiny.parent / "out").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("work.steps", "should be key=value"),
        ("work.stepps=3", "there is no key stepps"),
        ("wrok.steps=3", "there is no key wrok"),
        ("seed.steps=3", "seed is no section"),
        ("work.steps=none", "work.steps"),
        ("dials.scale=2", "dials.scale"),
        ("work.steps=[1", "not valid YAML"),
        ("check.bands.2.low=1", "0 to 1"),
    ],
)
def test_a_wrong_setting_is_told(setting: str, said: str, tiny: Path) -> None:
    done = fpe_sim("run", tiny, "--out", tiny.parent / "out", "--set", setting, "--json")
    assert done.exit_code == 3
    assert said in json.loads(done.stdout)["data"]["message"]
    assert not (tiny.parent / "out").exists()


def test_resume_where_nothing_was_run(tmp_path: Path) -> None:
    done = fpe_sim("run", "--resume", "--out", tmp_path, "--json")
    assert (done.exit_code, json.loads(done.stdout)["data"]["code"]) == (3, "FPE-101")
