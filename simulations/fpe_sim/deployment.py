"""Runs a scenario as a deployment on the loopback address: the three programs, as hospitals would start them."""

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from fpe_core.config.loader import load_yaml
from fpe_core.errors import FederationError
from fpe_core.evaluation.results import StudyResults
from fpe_core.files import write_atomic
from fpe_server.federation import Federation, FederationConfig
from fpe_sim.console import say
from fpe_sim.publish import publish
from fpe_sim.runner import claim_folder, make_hospitals
from fpe_sim.scenario import Scenario

_LEAVE_TIMEOUT_S = 20.0


def deploy_scenario(scenario: Scenario, out: Path, *, jobs: int) -> StudyResults:
    """Run `scenario` with real servers and clients; an interrupted one goes on where it stopped.

    Args:
        scenario: cohort and study.
        out: gets hospitals/, federation/ and what `publish` writes.
        jobs: processes for phantoms and preprocessing.

    Raises:
        ConfigValueInvalid: `out` holds another study.
        FederationError: one of the programs failed; it has said why.
    """
    claim_folder(out, scenario.study)
    federation = _make_federation(out / "federation")
    site_files = make_hospitals(scenario, out, server=f"localhost:{_port(federation)}", jobs=jobs)
    for site_file in site_files:
        _join_federation(site_file, federation)
        say(f"preprocessing at {site_file.parent.name}")
        _run("fpe-client", "preprocess", "--site", str(site_file), "--jobs", str(jobs))
    plan = out / "study.yaml"
    write_atomic(plan, yaml.safe_dump(scenario.study.model_dump(mode="json"), sort_keys=False).encode())
    with ExitStack() as clients:
        for site_file in site_files:
            clients.enter_context(_client(site_file))
        _run("fpe-server", "start", "--folder", str(federation), "--study", str(plan))
    run_folder = Federation.open(federation).run_folder(scenario.study.name)
    return publish(run_folder, [file.parent for file in site_files], out)


def _make_federation(folder: Path) -> Path:
    if not (folder / "federation.yaml").exists():
        _run("fpe-server", "init", str(folder), "--port", str(_free_port()))
    return folder


def _port(federation: Path) -> int:
    return load_yaml(federation / "federation.yaml", FederationConfig).port


def _join_federation(site_file: Path, federation: Path) -> None:
    """Give the site its key and the coordinator's certificate, and have the key admitted."""
    folder = site_file.parent
    key = folder / "site.key"
    if not key.exists():
        _run("fpe-client", "keygen", str(key), quiet=True)
    shutil.copyfile(Federation.open(federation).authority_certificate, folder / "ca.crt")
    _run("fpe-server", "admit", folder.name, str(key.with_suffix(".key.pub")), "--folder", str(federation))


@contextmanager
def _client(site_file: Path) -> Iterator[None]:
    """A site's client for as long as the block lasts; its words go to client.log beside the site file."""
    with (site_file.parent / "client.log").open("a") as log:
        process = subprocess.Popen([_program("fpe-client"), "--site", str(site_file)], stdout=log, stderr=log)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_LEAVE_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _run(program: str, *arguments: str, quiet: bool = False) -> None:
    """Run one of our programs to its end.

    Raises:
        FederationError: it ended with an error.
    """
    # What these commands print as data belongs to them; this program's stdout is for its own.
    captured = subprocess.run(
        [_program(program), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE if quiet else None,
        check=False,
    )
    if captured.returncode != 0:
        if captured.stderr:
            sys.stderr.buffer.write(captured.stderr)
        raise FederationError(f"{program} {' '.join(arguments)} ended with exit code {captured.returncode}")


def _program(name: str) -> str:
    """The program of the same installation as this one."""
    return str(Path(sys.executable).with_name(name))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
