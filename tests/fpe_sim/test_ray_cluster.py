import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fpe_core.errors import ConfigValueInvalid
from fpe_sim.ray_cluster import check_ray_address, ray_options

_START_S = 60.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Ray of one CPU that somebody else has started on this machine: its address."""
    # The paths of Ray's sockets may have 107 characters, fewer than pytest's folders.
    folder = Path(tempfile.mkdtemp(prefix="fpe-"))
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}", "--num-cpus=1",
        "--node-ip-address=127.0.0.1", "--include-dashboard=false", f"--ray-client-server-port={free_port()}",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        head = subprocess.Popen(command, env=dict(os.environ), stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + _START_S
        while "Ray runtime started" not in (folder / "log").read_text():
            assert head.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        yield f"127.0.0.1:{port}"
    finally:
        head.terminate()
        head.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def where_tasks_run(file: Path, *address: str) -> str:
    program = Path(__file__).with_name("where_tasks_run.py")
    subprocess.run([sys.executable, program, file, *address], check=True, timeout=120)
    return file.read_text()


@pytest.mark.integration
def test_a_run_works_on_the_cluster_that_is_named_and_on_no_other(cluster: str, tmp_path: Path) -> None:
    # Ray writes this machine's own address for 127.0.0.1; the port tells the two apart.
    port = cluster.partition(":")[2]
    assert where_tasks_run(tmp_path / "named", cluster).endswith(f":{port}")
    assert not where_tasks_run(tmp_path / "alone").endswith(f":{port}")


def test_an_address_leaves_the_number_of_cpus_to_the_cluster() -> None:
    assert ray_options("10.0.0.7:6379", num_cpus=4) == {"address": "10.0.0.7:6379", "include_dashboard": False}
    assert ray_options(None, num_cpus=4)["num_cpus"] == 4


def test_a_cluster_that_answers_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        check_ray_address(f"127.0.0.1:{listening.getsockname()[1]}")


def test_a_cluster_that_does_not_answer_is_told_at_once() -> None:
    with pytest.raises(ConfigValueInvalid, match="nobody answers there") as told:
        check_ray_address(f"127.0.0.1:{free_port()}")
    assert "ray start --head" in (told.value.hint or "")


def test_a_name_that_cannot_be_one_is_told() -> None:
    with pytest.raises(ConfigValueInvalid, match="nobody answers there"):
        check_ray_address("10.0.0..7:6379")


@pytest.mark.parametrize("address", ["cluster", "auto", ":6379", "10.0.0.7:", "10.0.0.7:70000", "ray://10.0.0.7:10001"])
def test_an_address_is_host_and_port(address: str) -> None:
    with pytest.raises(ConfigValueInvalid, match="expected HOST:PORT"):
        check_ray_address(address)
