"""A federation folder, keys, and a study that is small enough to send around."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fpe_core.config import StudyPlan
from fpe_core.protocol import Kind, Reply, ReplyHeader, Request, RequestHeader
from fpe_core.state import FlatState, Layout, TensorEntry
from fpe_server.federation import Federation, FederationConfig, create, write_private

PROGRAM = Path(sys.executable).with_name("fpe-server")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    return create(tmp_path / "fed", FederationConfig(port=free_port(), hosts=("fpe.example.org", "192.0.2.7")))


@pytest.fixture
def make_key(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str, curve: ec.EllipticCurve | None = None) -> Path:
        key = ec.generate_private_key(curve or ec.SECP384R1())
        path = tmp_path / name
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
            )
        )
        path.chmod(0o600)
        public = path.with_suffix(".pub")
        line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        public.write_bytes(line + b" someone@somewhere\n")
        return public

    return make


@pytest.fixture
def plan() -> StudyPlan:
    return StudyPlan(name="trial", task="fpe", seed=7)


@pytest.fixture
def state() -> FlatState:
    return FlatState(Layout((TensorEntry("w", (2, 3), "float32", "b"),)), np.arange(6, dtype=np.float32))


@pytest.fixture
def request_for(plan: StudyPlan, state: FlatState) -> Callable[..., Request]:
    def make(round_number: int = 1) -> Request:
        layout = state.layout.to_json()
        return Request(RequestHeader(kind=Kind.TRAIN, plan=plan, round_number=round_number, layout=layout), state)

    return make


@pytest.fixture
def echo() -> Callable[[Request], Reply]:
    """A site that sends back the state it was sent."""

    def answer(request: Request) -> Reply:
        header = ReplyHeader(
            kind=request.header.kind,
            study_fingerprint=request.header.plan.fingerprint(),
            round_number=request.header.round_number,
        )
        return Reply(header, request.state)

    return answer


@pytest.fixture
def started_federation(federation: Federation) -> Federation:
    """A federation with the secrets that a start makes."""
    write_private(federation.token, b"token")
    write_private(federation.executor_secret, b"secret")
    return federation


class Server:
    """A `fpe-server start` of a test, with bounded waits."""

    def __init__(self, federation: Federation, *options: str) -> None:
        self.federation = federation
        self.words = federation.folder / "words.txt"
        with self.words.open("ab") as words:
            self.process = subprocess.Popen(
                [PROGRAM, "start", "-C", str(federation.folder), *options],
                stdout=subprocess.DEVNULL,
                stderr=words,
                start_new_session=True,
            )

    def ask(self, *words: str) -> dict[str, Any]:
        """Run `fpe-server` with these words and return its JSON envelope."""
        done = subprocess.run(
            [PROGRAM, *words, "-C", str(self.federation.folder), "--json"],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.stdout, done.stderr
        envelope: dict[str, Any] = json.loads(done.stdout)
        assert envelope["exit_code"] == done.returncode
        return envelope

    def wait_until_serving(self) -> dict[str, Any]:
        envelope = self.ask("status", "--wait", "--timeout", "60")
        assert envelope["exit_code"] == 0, self.words.read_text()
        return dict(envelope["data"])

    def members(self) -> list[int]:
        """Living processes that were started for this federation."""
        return processes_naming(str(self.federation.folder))

    def kill(self) -> None:
        for pid in [self.process.pid, *self.members()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(timeout=10)


def processes_naming(text: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if text in (folder / "cmdline").read_text():
                found.append(int(folder.name))
    return [pid for pid in found if pid != os.getpid()]


def wait_for(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"not within {timeout_s} s"
        time.sleep(0.1)


@pytest.fixture
def start_server(federation: Federation) -> Iterator[Callable[..., Server]]:
    """Starts servers of `federation`; whatever they started is gone at the end."""
    servers: list[Server] = []

    def start(*options: str) -> Server:
        servers.append(Server(federation, *options))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def wait() -> Callable[..., None]:
    """Waits until a condition holds, at most 30 s."""
    return wait_for
