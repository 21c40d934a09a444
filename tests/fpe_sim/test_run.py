"""One real simulation through the command line, and what it must agree with."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from fpe_client.session import SiteSession
from fpe_core.config.loader import load_site
from fpe_core.evaluation.results import load_results
from fpe_server.exchange import GridExchange
from fpe_server.local_grid import LocalGrid, site_of
from fpe_server.store import RunFolder
from fpe_server.study import run_study
from fpe_sim.runner import claim_folder
from fpe_sim.scenario import load_scenario
from fpe_sim.virtual_site import answer

pytestmark = pytest.mark.integration

PROGRAM = Path(sys.executable).with_name("fpe-sim")
SCENARIO = """\
summary: As small as it gets.
cohort: {sites: 3, cases_per_site: 12}
study:
  name: smallest
  task: fpe
  seed: 10
  recipe: mnt-dl-mr-small
  model: {base_width: 8}
  split: {validation: 0.4}
  training: {batch_size: 6}
  federation: {rounds: 1, min_sites: 3, quorum: 3, compare_with_local: false}
"""


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenario") / "smallest.yaml"
    path.write_text(SCENARIO)
    return path


@pytest.fixture(scope="module")
def finished(scenario: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The output folder, and how the program ended."""
    out = scenario.parent / "out"
    return out, run("run", str(scenario), "--out", out, "--json")


def test_a_simulation_ends_well_and_says_one_envelope(finished: tuple[Path, Any]) -> None:
    out, done = finished
    assert done.returncode == 0, done.stderr
    envelope = json.loads(done.stdout)
    assert (envelope["status"], envelope["exit_code"], envelope["schema_version"]) == ("ok", 0, 1)
    assert Path(envelope["data"]["results"]) == out / "results.json"
    assert Path(envelope["data"]["report"]) == out / "report.html"
    assert "Traceback" not in done.stderr
    assert "They say nothing about patients." in done.stderr


def test_results_model_and_report_are_there(finished: tuple[Path, Any]) -> None:
    out, _ = finished
    results = load_results(out / "results.json")
    assert results.synthetic
    assert [len(entry.sites) for entry in results.rounds] == [3, 3]
    assert not list(results.failures_in_rounds())
    assert not results.failures
    assert {site.site for site in results.sites} == {"hospital-north", "hospital-harbour", "hospital-valley"}
    assert results.reachable_auc is not None
    assert 0.5 < results.reachable_auc < 1
    report = (out / "report.html").read_text()
    assert "hospital-harbour" in report
    assert len(list((out / "qc").glob("*.png"))) == 3


def test_sites_in_one_process_give_the_same_model(finished: tuple[Path, Any], scenario: Path, tmp_path: Path) -> None:
    out, _ = finished
    sessions = [SiteSession(load_site(file)) for file in sorted((out / "hospitals").glob("*/site.yaml"))]

    def site(session: SiteSession) -> Any:
        return site_of(lambda request: answer(request, session))

    grid = LocalGrid({session.config.site: site(session) for session in sessions})
    results = run_study(load_scenario(str(scenario)).study, GridExchange(grid), RunFolder(tmp_path))
    simulated = load_results(out / "results.json")
    assert results.best_round == simulated.best_round
    for here, there in zip(results.rounds, simulated.rounds, strict=True):
        assert there.pooled_validation_loss is not None
        assert here.pooled_validation_loss == pytest.approx(there.pooled_validation_loss, rel=1e-4)
    ours, theirs = load_file(tmp_path / "model.safetensors"), load_file(out / "model.safetensors")
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        np.testing.assert_allclose(tensor, theirs[name], rtol=1e-3, atol=1e-4, err_msg=name)


def test_a_finished_simulation_is_not_run_again(finished: tuple[Path, Any], scenario: Path) -> None:
    out, _ = finished
    before = (out / "run" / "checkpoints").stat().st_mtime_ns
    model = (out / "model.safetensors").read_bytes()
    other = scenario.with_name("other.yaml")
    other.write_text(SCENARIO.replace("seed: 10", "seed: 11"))
    done = run("run", str(other), "--out", out, "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["data"]["code"] == "FPE-104"
    assert "holds another study" in done.stderr
    assert (out / "model.safetensors").read_bytes() == model
    assert (out / "run" / "checkpoints").stat().st_mtime_ns == before
    assert claim_folder(out, load_scenario(str(scenario)).study) == out / "run"
