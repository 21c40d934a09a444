"""The proof behind every simulated number: the same plan on the same data gives the same model, simulated or deployed.

Simulated: virtual sites on Ray, under Flower's simulation engine. Deployed: server, gates and trainers as processes of
their own, TLS and keys between them. Each side has its own copy of the hospitals and draws their splits itself.
"""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from fpe_core.evaluation.results import StudyResults, load_results

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SITES = {"north": 5, "south": 7}
"""Positive cases among a dozen."""
PLAN = {
    "name": "same",
    "task": "fpe",
    "seed": 5,
    "recipe": "mnt-dl-mr-small",
    "model": {"base_width": 8},
    "split": {"validation": 0.3, "test": 0.3},
    "training": {"local_epochs": 2, "batch_size": 3, "learning_rate": 0.005},
    "federation": {"rounds": 1, "grace_s": 300, "round_deadline_s": 300, "compare_with_local": False},
}
SIMULATE = """
import sys
from pathlib import Path
from fpe_core.config.study import StudyPlan
from fpe_sim.runner import study_on_ray
if __name__ == "__main__":
    plan, run_folder, *site_files = map(Path, sys.argv[1:])
    study_on_ray(
        StudyPlan.model_validate_json(plan.read_bytes()), tuple(site_files), run_folder, num_cpus=1, gpus_per_site=0
    )
"""


def program(name: str, *arguments: object) -> list[str]:
    return [str(Path(sys.executable).with_name(name)), *map(str, arguments)]


def run(name: str, *arguments: object) -> None:
    done = subprocess.run(program(name, *arguments), capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def client(site_file: Path) -> Iterator[None]:
    with (site_file.parent / "client.log").open("ab") as log:
        process = subprocess.Popen(program("fpe-client", "--site", site_file), stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(120)


def simulated(folder: Path, site_files: list[Path]) -> Path:
    """The run folder of the study on Ray."""
    plan, script, run_folder = folder / "plan.json", folder / "simulate.py", folder / "run"
    run_folder.mkdir()
    script.write_text(SIMULATE)
    plan.write_text(json.dumps(PLAN))
    run("python", script, plan, run_folder, *site_files)
    return run_folder


def deployed(folder: Path, site_files: list[Path]) -> Path:
    """The run folder of the study between real programs."""
    federation, study = folder / "federation", folder / "study.yaml"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run("fpe-server", "init", federation, "--port", port)
    study.write_text(yaml.safe_dump(PLAN))
    with ExitStack() as clients:
        for site_file in site_files:
            site_file.write_text(site_file.read_text().replace("localhost:1", f"localhost:{port}"))
            run("fpe-client", "keygen", site_file.parent / "site.key")
            shutil.copy(federation / "certificates" / "ca.crt", site_file.parent / "ca.crt")
            key = site_file.parent / "site.key.pub"
            run("fpe-server", "admit", site_file.parent.name, key, "--folder", federation)
            clients.enter_context(client(site_file))
        run("fpe-server", "start", "--folder", federation, "--study", study)
    return federation / "runs" / "same"


@pytest.fixture(scope="module")
def both(make_site_in: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Run folders of the simulated and of the deployed study."""
    folders = tmp_path_factory.mktemp("simulated"), tmp_path_factory.mktemp("deployed")
    for number, (name, num_positive) in enumerate(SITES.items()):
        make_site_in(folders[0], name, num_positive=num_positive, num_negative=12 - num_positive, seed=number)
        shutil.copytree(folders[0] / name, folders[1] / name)
    here, there = ([folder / name / "site.yaml" for name in SITES] for folder in folders)
    return simulated(folders[0], here), deployed(folders[1], there)


def results_of(folders: tuple[Path, Path]) -> tuple[StudyResults, StudyResults]:
    simulation, deployment = (load_results(folder / "results.json") for folder in folders)
    return simulation, deployment


def test_the_model_is_the_same(both: tuple[Path, Path]) -> None:
    """On one thread it is the same to the last bit, since the server sums in the order of the sites' names, not of
    their answers. The tolerance is for a machine that gives the two sides different numbers of threads: sums inside a
    network then round differently, and AdamW's first steps, each as long as the learning rate, carry that on."""
    here, there = (load_file(folder / "model.safetensors") for folder in both)
    assert here.keys() == there.keys()
    for name, tensor in here.items():
        np.testing.assert_allclose(tensor, there[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_the_model_is_a_trained_one(both: tuple[Path, Path]) -> None:
    """Two studies that do nothing would agree as well."""
    for results in results_of(both):
        training = results.rounds[0].sites["north"].training
        assert training is not None
        assert training.num_epochs == 2
        # The model that was chosen, and that the other test compares, is the one after the round.
        assert results.best_round == 1


def test_everything_that_was_measured_is_the_same(both: tuple[Path, Path]) -> None:
    simulation, deployment = results_of(both)
    assert simulation.study_fingerprint == deployment.study_fingerprint
    assert simulation.best_round == deployment.best_round
    for here, there in zip(simulation.rounds, deployment.rounds, strict=True):
        assert here.sites.keys() == there.sites.keys() == SITES.keys()
        assert here.pooled_validation_loss == pytest.approx(there.pooled_validation_loss, rel=1e-4)
    for mine, theirs in zip(simulation.sites, deployment.sites, strict=True):
        assert mine.site == theirs.site
        assert mine.test is not None
        assert theirs.test is not None
        assert mine.test.auc == theirs.test.auc
        assert mine.test.loss == pytest.approx(theirs.test.loss, rel=1e-4)
        assert mine.description == theirs.description
