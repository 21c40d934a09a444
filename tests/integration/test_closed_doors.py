"""Knocks at every path of a real server, from outside and from inside without the token."""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from flwr.proto.control_pb2 import ListNodesRequest
from flwr.proto.fleet_pb2 import ActivateNodeRequest, RegisterNodeFleetRequest
from flwr.proto.runtime_pb2 import AcquireTaskRequest
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
from flwr.supercore.protobuf.constants import PROTOBUF_MEDIA_TYPE
from flwr.supercore.runtime import RuntimeHttpClient

from fpe_server.federation import Federation, FederationConfig, create
from fpe_server.flower import Control, make_superlink, route_paths

pytestmark = [
    pytest.mark.integration,
    # Flower's database migrations are configured in a way that the newest Alembic calls deprecated.
    pytest.mark.filterwarnings("ignore:No path_separator found:DeprecationWarning"),
]

PROGRAM = Path(sys.executable).with_name("fpe-server")
PROTOBUF = {"content-type": PROTOBUF_MEDIA_TYPE, "accept": PROTOBUF_MEDIA_TYPE}


def own_address() -> str:
    """An address of this machine that is not loopback: whoever comes from it is an outsider."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing; the kernel only chooses a source address
        return str(probe.getsockname()[0])
    return ""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    hosts = tuple(filter(None, [own_address()]))
    federation = create(tmp_path_factory.mktemp("doors") / "fed", FederationConfig(port=port, hosts=hosts))
    process = subprocess.Popen([PROGRAM, "start", "-C", federation.folder], stderr=subprocess.DEVNULL)
    try:
        status = [PROGRAM, "status", "--wait", "--json", "-C", federation.folder]
        done = subprocess.run(status, capture_output=True, text=True, timeout=90, check=True)
        assert json.loads(done.stdout)["data"]["health"] == "SERVING"
        yield federation
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Every path that the SuperLink's application has."""
    federation = create(tmp_path_factory.mktemp("paths") / "fed", FederationConfig(port=1))
    federation.executor_secret.write_bytes(b"secret")
    return sorted(route_paths(make_superlink(federation)))


def client(federation: Federation, host: str, **headers: str) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(federation.authority_certificate))
    return httpx.Client(
        base_url=f"https://{host}:{federation.config.port}", verify=context, headers=headers, trust_env=False
    )


def knock(door: httpx.Client, path: str) -> set[int]:
    """Every status that the path answers with, whatever the method."""
    statuses = {door.request(method, path).status_code for method in ("GET", "PUT", "DELETE", "OPTIONS")}
    return statuses | {door.post(path, content=b"", headers=PROTOBUF).status_code}


def token_of(federation: Federation) -> str:
    return f"Bearer {federation.token.read_text()}"


def test_outsider_with_the_token_sees_fleet_and_health_only(server: Federation, paths: list[str]) -> None:
    address = own_address()
    if not address:
        pytest.skip("this machine has no address but loopback")
    assert len(paths) > 70
    with client(server, address, authorization=token_of(server)) as door:
        for path in [*paths, "/", "/redoc", "/v1/", "/v1/control/../fleet/x/../../control/list-runs"]:
            if path == "/health":
                assert door.get(path).status_code == 200
            elif not path.startswith("/v1/fleet/"):
                assert knock(door, path) == {404}, path


def test_outsider_cannot_pretend_to_be_inside(server: Federation) -> None:
    address = own_address()
    if not address:
        pytest.skip("this machine has no address but loopback")
    lies = {"x-forwarded-for": "127.0.0.1", "forwarded": "for=127.0.0.1", "host": "127.0.0.1"}
    with client(server, address, authorization=token_of(server)) as door:
        door.headers.update(lies)
        assert knock(door, "/v1/control/list-nodes") == {404}


def test_insider_without_the_token_gets_nothing_done(server: Federation, paths: list[str]) -> None:
    with client(server, "127.0.0.1") as door:
        for path in paths:
            statuses = knock(door, path)
            if path == "/health":
                assert 200 in statuses
            elif path.startswith("/v1/control/"):
                assert statuses <= {401, 404}, path
            else:
                assert all(400 <= status < 500 for status in statuses), (path, statuses)


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/docs/oauth2-redirect", "/v1/runtime/responses"])
def test_insider_with_the_token_sees_no_more_than_needed(server: Federation, path: str) -> None:
    with client(server, "127.0.0.1", authorization=token_of(server)) as door:
        assert knock(door, path) == {404}


def test_control_works_with_the_token_and_not_without(server: Federation) -> None:
    anonymous = ControlHttpClient.from_server_address(
        server.local_address,
        False,
        server.authority_certificate.read_bytes(),
        interceptors=[RuntimeVersionHttpInterceptor(component_name="flwr CLI")],
    )
    with anonymous, pytest.raises(httpx.HTTPStatusError, match="401"):
        anonymous.ListNodes(ListNodesRequest())
    with Control(server) as control:
        assert control.nodes() == []


def test_nobody_takes_the_executors_place(server: Federation) -> None:
    thief = RuntimeHttpClient.from_server_address(
        server.local_address,
        False,
        server.authority_certificate.read_bytes(),
        interceptors=[RuntimeVersionHttpInterceptor(component_name="SuperExec")],
    )
    with Control(server) as control:
        run_id = control.start_run({"run-folder": "/nowhere"})
        with thief, pytest.raises(httpx.HTTPStatusError) as caught:
            thief.AcquireTask(AcquireTaskRequest())
        control.stop_run(run_id)
    assert caught.value.response.status_code in (401, 403)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v1/fleet/register-node", RegisterNodeFleetRequest(public_key=b"x")),
        ("/v1/fleet/activate-node", ActivateNodeRequest(public_key=b"x", heartbeat_interval=30.0)),
    ],
)
def test_nobody_joins_without_a_signature(server: Federation, path: str, message: Any) -> None:
    with client(server, "127.0.0.1") as door:
        answer = door.post(path, content=message.SerializeToString(), headers=PROTOBUF)
    assert answer.status_code == 401


def test_plain_http_is_not_answered(server: Federation) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://{server.local_address}/health", trust_env=False)


def test_secrets_are_readable_by_their_owner_only(server: Federation) -> None:
    for path in (server.token, server.executor_secret, server.authority_key, server.server_key):
        assert path.stat().st_mode & 0o077 == 0, path
        assert path.stat().st_uid == os.getuid()
