"""A whole study between real programs, and what kill -9 in mid-round costs it."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml

from fpe_core.evaluation.results import load_results

pytestmark = [pytest.mark.integration, pytest.mark.timeout(280)]

ROUNDS = 4
SITES = ("north", "south")


def program(name: str, *arguments: object) -> list[str]:
    return [str(Path(sys.executable).with_name(name)), *map(str, arguments)]


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(program(name, *arguments), capture_output=True, text=True, timeout=60, check=True)


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 90.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


class Deployment:
    """A federation folder, two hospitals with preprocessed cases, and a study whose rounds take a few seconds."""

    def __init__(self, folder: Path, make_site: Callable[..., Path]) -> None:
        self.federation = folder / "federation"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        run("fpe-server", "init", self.federation, "--port", port)
        self.site_files = {name: self._admitted(make_site(name, seed=i), port) for i, name in enumerate(SITES)}
        self.study = folder / "study.yaml"
        self.study.write_text(
            yaml.safe_dump(
                {
                    "name": "trial",
                    "task": "fpe",
                    "seed": 11,
                    "recipe": "mnt-dl-mr-small",
                    "model": {"base_width": 8},
                    "training": {"local_epochs": 15, "batch_size": 4, "patience_epochs": 15},
                    "federation": {"rounds": ROUNDS, "grace_s": 60, "round_deadline_s": 120},
                }
            )
        )
        self.run_folder = self.federation / "runs" / "trial"

    def _admitted(self, site_file: Path, port: int) -> Path:
        site_file.write_text(site_file.read_text().replace("localhost:1", f"localhost:{port}"))
        folder = site_file.parent
        run("fpe-client", "keygen", folder / "site.key")
        (folder / "ca.crt").write_bytes((self.federation / "certificates" / "ca.crt").read_bytes())
        run("fpe-server", "admit", folder.name, folder / "site.key.pub", "--folder", self.federation)
        return site_file

    @contextmanager
    def client(self, site: str) -> Iterator[subprocess.Popen[bytes]]:
        with (self.site_files[site].parent / "client.log").open("ab") as log:
            process = subprocess.Popen(program("fpe-client", "--site", self.site_files[site]), stdout=log, stderr=log)
            try:
                yield process
            finally:
                process.terminate()
                process.wait(30)

    def start_server(self) -> subprocess.Popen[bytes]:
        with (self.federation / "server.log").open("ab") as log:
            return subprocess.Popen(
                program("fpe-server", "start", "--folder", self.federation, "--study", self.study),
                stdout=log,
                stderr=log,
            )

    def state(self) -> dict[str, object]:
        path = self.run_folder / "state.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def in_round(self, number: int) -> bool:
        return self.state().get("message") == f"round {number}"

    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.run_folder / "events.jsonl").read_text().splitlines()]


@pytest.fixture
def deployment(tmp_path: Path, make_site: Callable[..., Path]) -> Deployment:
    return Deployment(tmp_path, make_site)


def test_kill_of_a_site_and_of_the_server_in_mid_round_costs_the_study_nothing(deployment: Deployment) -> None:
    with ExitStack() as clients:
        first = clients.enter_context(deployment.client("north"))
        clients.enter_context(deployment.client("south"))
        server = deployment.start_server()

        wait_until(lambda: deployment.in_round(2))
        time.sleep(1.0)
        first.send_signal(signal.SIGKILL)
        first.wait()
        clients.enter_context(deployment.client("north"))

        wait_until(lambda: deployment.in_round(3))
        time.sleep(1.0)
        server.kill()
        server.wait()
        assert deployment.state()["status"] == "running"
        server = deployment.start_server()
        assert server.wait(150) == 0

    results = load_results(deployment.run_folder / "results.json")
    assert [entry.round_number for entry in results.rounds] == list(range(1, ROUNDS + 2))
    assert list(results.failures_in_rounds()) == []
    assert all(set(entry.sites) == set(SITES) for entry in results.rounds)
    assert all(site.test is not None and site.alone_test is not None for site in results.sites)
    # Rounds 1 and 2 were not trained again after the server came back.
    asked = [event["message"] for event in deployment.events() if event["event"] == "state"]
    assert asked.count("round 1") == 2  # one line for the state, one for the question
    assert asked.count("round 3") == 4

    # A study that is finished is not run again.
    again = run("fpe-server", "start", "--folder", deployment.federation, "--study", deployment.study, "--json")
    assert json.loads(again.stdout)["data"]["study_status"] == "finished"
    assert load_results(deployment.run_folder / "results.json") == results
