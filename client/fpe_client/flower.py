"""Everything of Flower 1.41 that is not public, in one place.

Flower's SuperNode is started from Python rather than from its command, because a few things need a hand inside: only
the pinned bundle may run, an idle node should ask more often than every 3 s, its local port should not hand work to any
other user of the machine, and a node whose main loop has ended must end too. Each name used here is checked by
`tests/fpe_client/test_flower.py`.
"""

import hashlib
import importlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.proto.fleet_pb2 import ActivateNodeRequest, DeactivateNodeRequest
from flwr.supercore.fab import Fab
from flwr.supercore.interceptors.http.runtime_version import RuntimeVersionHttpInterceptor
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supercore.protobuf.client import ProtobufClientInterceptor
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor
from flwr.supernode.nodestate import NodeStateFactory

from fpe_client.bundle import PINNED_SHA256
from fpe_client.parent import PARENT_VARIABLE
from fpe_core.errors import BundleRefused, ClockSkewed, KeyNotAdmitted, ServerUnreachable

IDLE_POLL_S = 0.2
REFUSAL_LINGER_S = 4.0
"""A ServerApp that uses Flower's own waiting asks for replies every 3 s."""

_MAIN_LOOP = "flwr.supernode.start_client_internal"
_EXECUTOR = "flwr.supercore.cli.flower_superexec"
_COMMAND = "flwr.supernode.cli.flower_supernode"


@dataclass(frozen=True)
class NodeSettings:
    """Whom to connect to, and as whom.

    Attributes:
        address: host:port of the server.
        ca_certificate: the coordinator's CA, PEM.
        private_key: the site's key.
        home: folder of this process's own, used for the secret of its local port.
    """

    address: str
    ca_certificate: bytes
    private_key: ec.EllipticCurvePrivateKey
    home: Path


def run_supernode(settings: NodeSettings, *, on_connected: Callable[[int], None], on_stop: Callable[[], None]) -> None:
    """Run a SuperNode in this process until its main loop ends by itself.

    Args:
        settings: the connection.
        on_connected: called with the node id when the server has activated this node.
        on_stop: called when SIGTERM asks this process to stop.

    Raises:
        BundleRefused: the server sent a bundle that is not pinned; it has been told so.
        SystemExit: after SIGTERM, or because Flower itself gave up.
    """
    loop, command = importlib.import_module(_MAIN_LOOP), importlib.import_module(_COMMAND)
    _cut_waits(loop)
    _notice_stop(loop, on_stop)
    bundles = _pin_bundles(loop, on_connected)
    secret, port = secrets.token_bytes(32), _free_port()
    objects = ObjectStoreFactory()
    state = NodeStateFactory(objectstore_factory=objects)
    local = SimpleNamespace(
        host="127.0.0.1",
        port=port,
        superexec_auth_secret=secret,
        runtime_ssl_certfile=None,
        runtime_ssl_keyfile=None,
    )
    server, _ = command._start_supernode_http_api(local, state)
    executor = _start_executor(settings.home, port, secret)
    try:
        loop.start_client_internal(
            state_factory=state,
            server_address=settings.address,
            node_config={},
            root_certificates=settings.ca_certificate,
            insecure=False,
            authentication_keys=(settings.private_key, settings.private_key.public_key()),
            isolation="process",
            runtime_api_address=f"127.0.0.1:{port}",
            superexec_auth_secret=secret,
            trusted_entities={"pinned": "by sha256"},
            runtime_dependency_install=False,
        )
    finally:
        executor.kill()
        executor.wait()
        server.should_exit = True
    if bundles.refused:
        raise BundleRefused(
            f"the server sent a bundle with sha256 {bundles.refused}",
            hint="install the release that the coordinator runs; if it is the same, tell the coordinator",
        )


def deactivate_session(settings: NodeSettings, node_id: int) -> bool:
    """End the session that a killed SuperNode left behind; it would block the new one for up to 60 s.

    Returns:
        False when the server knows no such session, or cannot be reached.
    """
    with _fleet(settings) as client:
        try:
            client.DeactivateNode(DeactivateNodeRequest(node_id=node_id))
        except httpx.HTTPError:
            return False
    return True


def probe_admission(settings: NodeSettings) -> None:
    """Ask the server whether it knows this site's key, without opening a session.

    A signed activation with an impossible heartbeat interval: the server looks the key up first, and refuses the
    interval second.

    Raises:
        KeyNotAdmitted: the server does not know the key, or has revoked it.
        ClockSkewed: the server does not accept the time that was signed.
        ServerUnreachable: no usable answer.
    """
    key = public_key_to_bytes(settings.private_key.public_key())
    try:
        with _fleet(settings) as client:
            client.ActivateNode(ActivateNodeRequest(public_key=key, heartbeat_interval=0.0))
    except httpx.HTTPStatusError as error:
        _read_refusal(error.response.status_code)
    except httpx.HTTPError as error:
        raise ServerUnreachable(f"{settings.address}: {type(error).__name__}") from None


def _read_refusal(status: int) -> None:
    if status == httpx.codes.BAD_REQUEST:
        return  # the interval was refused, so the key was found
    if status == httpx.codes.PRECONDITION_FAILED:
        raise KeyNotAdmitted(hint="send the public key to the coordinator, who runs: fpe-server admit SITE PUBLIC_KEY")
    if status == httpx.codes.UNAUTHORIZED:
        raise ClockSkewed("the server did not accept the signed time", hint="set this machine's clock with NTP")
    raise ServerUnreachable(f"the server answered with HTTP status {status}")


@contextmanager
def _fleet(settings: NodeSettings) -> Iterator[FleetHttpClient]:
    key = settings.private_key
    interceptors: list[ProtobufClientInterceptor] = [
        RuntimeVersionHttpInterceptor(component_name="SuperNode"),
        NodeAuthHttpInterceptor(key, key.public_key()),
    ]
    with FleetHttpClient.from_server_address(
        settings.address, insecure=False, root_certificates=settings.ca_certificate, interceptors=interceptors
    ) as client:
        yield client


def _cut_waits(loop: Any) -> None:
    """Give the main loop a clock whose naps are short. The rest of the process keeps its own."""
    names = {name: getattr(time, name) for name in dir(time) if not name.startswith("_")}
    loop.time = SimpleNamespace(**{**names, "sleep": lambda seconds: time.sleep(min(seconds, IDLE_POLL_S))})


class _PinnedBundles:
    """Stands where Flower verifies a bundle's signatures. Remembers the first that was refused."""

    def __init__(self) -> None:
        self.refused = ""

    def __call__(self, fab: Fab, _trusted: dict[str, str]) -> bool:
        digest = hashlib.sha256(fab.content).hexdigest()
        if digest not in PINNED_SHA256:
            self.refused = self.refused or digest
        return digest in PINNED_SHA256


def _notice_stop(loop: Any, on_stop: Callable[[], None]) -> None:
    """Tell a SIGTERM from outside from the SIGINT that Flower sends itself when the server turns it away."""
    register = loop.register_signal_handlers

    def register_and_notice(**options: Any) -> None:
        register(**options)
        leave: Any = signal.getsignal(signal.SIGTERM)

        def notice(number: int, frame: FrameType | None) -> None:
            on_stop()
            leave(number, frame)

        signal.signal(signal.SIGTERM, notice)

    loop.register_signal_handlers = register_and_notice


def _pin_bundles(loop: Any, on_connected: Callable[[int], None]) -> _PinnedBundles:
    verify = _PinnedBundles()
    connect = loop.http_request_response

    @contextmanager
    def pinned(*arguments: Any, **options: Any) -> Iterator[tuple[Any, ...]]:
        with connect(*arguments, **options) as connection:
            node_id, receive, send, get_run, get_fab, *rest = connection
            on_connected(node_id)

            def receive_unless_refused() -> Any:
                # The reply that refuses a bundle has been sent by the time the loop asks for more. A server forgets
                # the replies of a node that has left, so stay until it has asked for them.
                if verify.refused:
                    time.sleep(REFUSAL_LINGER_S)
                    raise BundleRefused
                return receive()

            def get_marked_fab(fab_hash: str, run_id: int) -> Fab:
                # Flower calls its verifier only for a bundle that some licence server has marked.
                fab: Fab = get_fab(fab_hash, run_id)
                fab.verifications["valid_license"] = "n/a"
                return fab

            yield node_id, receive_unless_refused, send, get_run, get_marked_fab, *rest

    loop._verify_fab = verify
    loop.http_request_response = pinned
    return verify


def _start_executor(home: Path, port: int, secret: bytes) -> "subprocess.Popen[bytes]":
    """Start the process that starts a gate for each message; the secret keeps other users of the machine out."""
    secret_file = home / "executor.secret"
    secret_file.unlink(missing_ok=True)
    with os.fdopen(os.open(secret_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secret)
    command = [sys.executable, "-m", "fpe_client.executor", "--insecure"]
    command += ["--runtime-api-address", f"127.0.0.1:{port}", "--superexec-auth-secret-file", str(secret_file)]
    return subprocess.Popen(command, env={**os.environ, PARENT_VARIABLE: str(os.getpid())})


def run_executor() -> None:
    """Flower's executor with this process's arguments. Returns only by SystemExit."""
    importlib.import_module(_EXECUTOR).flower_superexec()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
