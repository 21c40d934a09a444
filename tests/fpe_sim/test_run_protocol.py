"""A protocol's run folder: what is in it, how a run goes on, and which runs it refuses."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from fpe_core.preprocessing.storage import locked
from fpe_sim.cli import main
from fpe_sim.protocol_results import load_protocol_results

RUNNER = CliRunner()


def run(*words: str | Path) -> Result:
    return RUNNER.invoke(main, ["run", *map(str, words), "--jobs", "1", "--json"])


def data(done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, done.stderr
    return dict(json.loads(done.stdout)["data"])


def message(done: Result) -> str:
    assert done.exit_code == 3, done.stdout
    return str(json.loads(done.stdout)["data"]["message"])


def test_a_run_leaves_what_people_and_programs_read(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(tiny, "--out", out, "--scale", "0.5", "--set", "work.steps=4")
    said = data(done)
    assert Path(said["report"]) == out / "report.html"
    assert said["numbers"] == {"cases": 50, "steps": 4, "made": 4}
    assert "The files are 4 <in all>." in done.stderr
    assert "They say nothing about patients." in done.stderr
    resolved = json.loads((out / "protocol.json").read_text())
    assert (resolved["dials"]["scale"], resolved["work"]["steps"]) == (0.5, 4)
    record = json.loads((out / "run.json").read_text())
    assert record["command"] == "fpe-sim run tiny.yaml --scale 0.5 --set work.steps=4 --out DIR"
    assert len(record["parts"]) == 1
    results = load_protocol_results(out / "results.json")
    assert {"python", "torch", "ray"} <= set(results.software)
    assert (out / "figures" / "line.svg").is_file()
    assert (out / "figures" / "line.png").is_file()
    with (out / "tables" / "t1.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "row": "A, with comma", "column": "AUC", "paper": ".7505 (.0438)", "here": "0.750 (0.700 to 0.800)",
        "value": "0.75", "sd": "", "low": "0.7", "high": "0.8",
    }  # fmt: skip
    assert len(rows) == 4


def test_a_finished_run_is_not_run_again(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    run(tiny, "--out", out)
    before = (out / "results.json").read_bytes()
    (out / "report.html").unlink()
    (out / "tables" / "old.csv").write_text("row\n")
    # Whatever is imported now, a kind is not.
    monkeypatch.setitem(sys.modules, "fpe_sim.external_validation", None)
    for again in (run(tiny, "--out", out), run("--resume", "--out", out)):
        assert data(again)["numbers"]["made"] == 3
        assert "A tiny run" in (out / "report.html").read_text()
        assert (out / "results.json").read_bytes() == before
    assert not (out / "tables" / "old.csv").exists()
    assert len(json.loads((out / "run.json").read_text())["parts"]) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scale", "0.5"], "dials.scale is 1.0 there and 0.5 here"),
        (["--set", "seed=6"], "seed is 5 there and 6 here"),
        (["--set", "name=other"], "holds a run of tiny"),
    ],
)
def test_another_run_is_refused_and_the_folder_left(words: list[str], said: str, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(tiny, "--out", out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert said in message(run(tiny, "--out", out, *words))
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_run_that_was_refused_at_once_does_not_hold_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused = run("vdh-rlvo", "--out", out, "--scale", "0.1", "--set", "training.precision=bfloat16", "--device", "cpu")
    assert "should train in float32 on a CPU" in str(json.loads(refused.stdout)["data"]["message"])
    assert (out / "protocol.json").is_file()
    again = run("vdh-rlvo", "--out", out, "--scale", "0.2", "--set", "training.precision=bfloat16", "--device", "cpu")
    assert again.exit_code == refused.exit_code
    assert json.loads((out / "protocol.json").read_text())["dials"]["scale"] == 0.2
    record = json.loads((out / "run.json").read_text())
    assert "--scale 0.2" in record["command"]
    assert len(record["parts"]) == 1


def test_another_file_in_the_folder_is_in_nobodys_way(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "log.txt").write_text("mine")
    assert data(run(tiny, "--out", out))["numbers"]["made"] == 3
    assert "seed is 5 there and 6 here" in message(run(tiny, "--out", out, "--set", "seed=6"))
    assert (out / "log.txt").read_text() == "mine"


def test_a_run_that_stopped_at_a_misspelt_site_does_not_hold_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in ("a", "b"):
        done = run(
            "federated", "--out", out, "--device", "cpu",
            "--set", f"hospitals.site_files=[{name}/site.yaml, {name}/other.yaml]",
        )  # fmt: skip
        assert f"{name}/site.yaml" in message(done)
        assert json.loads((out / "protocol.json").read_text())["hospitals"]["site_files"][0] == str(
            Path.cwd() / name / "site.yaml"
        )


def test_the_bands_of_the_check_decide_nothing(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(tiny, "--out", out)
    tiny.write_text(tiny.read_text().replace("low: 50", "low: 40"))
    assert data(run(tiny, "--out", out))["numbers"]["made"] == 3


def test_a_folder_at_work_is_refused(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with locked(out / ".lock", wait=False):
        assert "another fpe-sim is at work" in message(run(tiny, "--out", out))


def test_protocols_and_scenarios_keep_out_of_each_others_folders(tiny: Path, tmp_path: Path) -> None:
    run(tiny, "--out", tmp_path / "protocol")
    assert "holds a run of a protocol" in message(run("federated-mr-small", "--out", tmp_path / "protocol"))
    (tmp_path / "scenario" / "run").mkdir(parents=True)
    (tmp_path / "scenario" / "run" / "plan.json").write_text("{}")
    assert "holds a run of a scenario" in message(run(tiny, "--out", tmp_path / "scenario"))


def test_a_run_that_failed_goes_on(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    failed = run(tiny, "--out", out, "--set", "work.fails_at=2")
    assert failed.exit_code == 4
    assert "hint: leave work.fails_at out" in failed.stderr
    assert not (out / "results.json").exists()
    settings = json.loads((out / "protocol.json").read_text())
    settings["work"]["fails_at"] = None
    (out / "protocol.json").write_text(json.dumps(settings))
    assert data(run("--resume", "--out", out))["numbers"] == {"cases": 100, "steps": 3, "made": 1}
    record = json.loads((out / "run.json").read_text())
    assert len(record["parts"]) == 2
    assert "--set work.fails_at=2" in record["command"]
    assert "in 2 parts" in (out / "report.html").read_text()


def test_results_of_another_version_are_evaluated_anew(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(tiny, "--out", out)
    (out / "results.json").write_text('{"schema_version": 0}')
    assert data(run(tiny, "--out", out))["numbers"]["made"] == 0
    assert load_protocol_results(out / "results.json").schema_version == 1


@pytest.fixture
def program(tiny_kind: ModuleType, tmp_path: Path) -> list[str]:
    """A run of six files, half a second each, as a process of its own."""
    path = tmp_path / "slow.yaml"
    path.write_text(tiny_kind.YAML.replace("{steps: 3}", "{steps: 6, wait_s: 0.5}"))
    return [sys.executable, str(tiny_kind.__file__), "run", str(path), "--out", str(tmp_path / "out"), "--json"]


@pytest.mark.integration
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_broken_off_goes_on(how: signal.Signals, program: list[str], tmp_path: Path) -> None:
    first = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0)
    end = time.monotonic() + 120
    while not (tmp_path / "out" / "cohorts" / "1.txt").exists() and first.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(first.pid, how)
    _, words = first.communicate(timeout=60)
    if how == signal.SIGINT:
        assert first.returncode == 130
        assert f"fpe-sim run --resume --out {tmp_path / 'out'}" in " ".join(words.split())
    assert not (tmp_path / "out" / "results.json").exists()
    again = subprocess.run(program, capture_output=True, text=True, check=True, timeout=120)
    numbers = json.loads(again.stdout)["data"]["numbers"]
    assert numbers["steps"] == 6
    assert numbers["made"] <= 4
