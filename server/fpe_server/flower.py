"""All that depends on how Flower 1.41 is built inside. Nothing else in this package imports Flower's internals.

Its public interface (`flwr.app`, `flwr.serverapp`) is used elsewhere too. `tests/fpe_server/test_flower.py` fails when
an upgrade moves something that is used here.
"""

import hashlib
import importlib
import os
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from flwr.cli.build import build_fab_from_files
from flwr.common.serde import fab_to_proto, user_config_to_proto
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    ListRunsRequest,
    RegisterNodeRequest,
    StartRunRequest,
    StopRunRequest,
    UnregisterNodeRequest,
)
from flwr.proto.node_pb2 import NodeInfo as NodeInfo
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.fab import Fab
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supercore.protobuf.client import ProtobufCall, ProtobufRequestContext
from flwr.supercore.run import Run as Run

from fpe_server.federation import FOLDER_VARIABLE, Federation
from fpe_server.gate import AsgiApp

EXECUTOR_POLL_S = 0.1
_KEPT_TABLES = frozenset({"node", "alembic_version"})
"""What outlives a restart of the SuperLink: the nodes' identities."""


def bundle_bytes() -> bytes:
    """The Flower App Bundle: one `pyproject.toml` that names the installed packages, no code."""
    text = (files("fpe_server") / "bundle" / "pyproject.toml").read_bytes()
    with warnings.catch_warnings():
        # Flower names pathspec's patterns in a way that pathspec 1 calls deprecated.
        warnings.filterwarnings("ignore", "GitWildMatchPattern", DeprecationWarning)
        content: bytes = build_fab_from_files({"pyproject.toml": text})[0]
    return content


def bundle_sha256() -> str:
    """Hex sha256 of the bundle; the sites accept no other."""
    return hashlib.sha256(bundle_bytes()).hexdigest()


def environment(federation: Federation, outer: Mapping[str, str]) -> dict[str, str]:
    """Environment of the SuperLink and of all that it starts.

    Flower's own files stay inside the federation folder; telemetry, update checks and installation of dependencies at
    run time are off.
    """
    kept = {key: value for key, value in outer.items() if not key.startswith(("FLWR_", "UVICORN_", "FORWARDED_"))}
    programs = str(Path(sys.executable).parent)
    return kept | {
        # Flower starts its own programs by name.
        "PATH": os.pathsep.join([programs, outer.get("PATH", os.defpath)]),
        "FLWR_HOME": str(federation.server / "flower"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": str(EXECUTOR_POLL_S),
        FOLDER_VARIABLE: str(federation.folder),
    }


def forget_runs(database: Path) -> None:
    """Empty the SuperLink's database of everything but the nodes, and shrink the file.

    Runs do not survive their SuperLink; what they leave behind would only grow. A node keeps its id, so that the sites
    come back by themselves.
    """
    if not database.exists():
        return
    connection = sqlite3.connect(database, timeout=10.0)
    try:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            if table not in _KEPT_TABLES and not table.startswith("sqlite_"):
                connection.execute(f'DELETE FROM "{table}"')  # noqa: S608 - the names come from the database itself
        connection.execute("DELETE FROM node WHERE status = 'unregistered'")
        connection.commit()
        connection.execute("VACUUM")
    finally:
        connection.close()


def make_superlink(federation: Federation) -> AsgiApp:
    """The SuperLink's ASGI application: TLS and node authentication on, weights in memory, the executor guarded."""
    main: Any = importlib.import_module("flwr.superlink.main")
    main.get_objectstore_linkstate_factories = _factories_with_weights_in_memory
    config = _superlink_config(federation)
    app: AsgiApp = main.create_app(config, _lifespan_class(federation))
    return app


def route_paths(superlink: AsgiApp) -> set[str]:
    """Every path that the application answers."""
    from fastapi.routing import iter_route_contexts

    app: Any = superlink
    routes: list[Any] = [context.route for context in iter_route_contexts(app.routes)]
    return {route.path for route in routes}


def _factories_with_weights_in_memory(database: str, federation_manager: Any) -> tuple[Any, Any]:
    """Flower's own factories, but weights and updates never touch the disk, where they would outlast their use."""
    from flwr.server.superlink.linkstate import LinkStateFactory
    from flwr.supercore.object_store import ObjectStoreFactory

    objects = ObjectStoreFactory()
    return objects, LinkStateFactory(database, federation_manager, objects)


def _superlink_config(federation: Federation) -> Any:
    from flwr.superlink.auth_plugin import NoOpControlAuthnPlugin
    from flwr.superlink.config_loader import SuperLinkLifespanConfig

    certificates = (federation.authority_certificate, federation.server_certificate, federation.server_key)
    authority, certificate, key = (path.read_bytes() for path in certificates)
    return SuperLinkLifespanConfig(
        control_address="",
        health_server_address=None,
        host=federation.config.bind,
        port=federation.config.port,
        insecure=False,
        certificates=(authority, certificate, key),
        superexec_auth_secret=federation.executor_secret.read_bytes(),
        authn_plugin=NoOpControlAuthnPlugin(),  # the gate has checked the token already
        event_log_plugin=None,
        fleet_event_log_plugin=None,
        enable_event_log=False,
        artifact_provider=None,
        enable_supernode_auth=True,
        fleet_api_type="grpc-rere",
        fleet_api_address=None,
        simulation=False,
        ssl_ca_certfile=str(federation.authority_certificate),
        ssl_certfile=str(federation.server_certificate),
        ssl_keyfile=str(federation.server_key),
        database=str(federation.database),
        isolation="subprocess",
        runtime_dependency_install=False,
    )


def _lifespan_class(federation: Federation) -> type[Any]:
    """Flower's lifespan with an executor that shares a secret with the SuperLink and stays in its process group."""
    from flwr.superlink.cli.flower_superlink import SuperLinkLifespan

    class GuardedLifespan(SuperLinkLifespan):
        def _start_superexec_if_needed(self) -> None:
            command = [
                *("flower-superexec", "--runtime-api-address", federation.local_address),
                *("--root-certificates", str(federation.authority_certificate)),
                *("--superexec-auth-secret-file", str(federation.executor_secret)),
                *("--parent-pid", str(os.getpid())),
            ]
            self.superexec_process = subprocess.Popen(command)

    return GuardedLifespan


def node_key(openssh: bytes) -> bytes:
    """An OpenSSH public key (EC) in the form in which Flower knows its nodes."""
    key = load_ssh_public_key(openssh)
    if not isinstance(key, EllipticCurvePublicKey):
        raise TypeError(f"a node's key should be an EC key, got {type(key).__name__}")
    content: bytes = public_key_to_bytes(key)
    return content


def assume_task_identity(*, run_id: int = 1) -> None:
    """Let this process build Flower messages without a SuperLink that gave it a task."""
    from flwr.supercore.task_identity import TaskIdentity

    TaskIdentity.task_id = TaskIdentity.node_id = 1
    TaskIdentity.run_id = run_id


def end_with_parent(parent_pid: int) -> None:
    """Interrupt this process when `parent_pid` is gone."""
    from flwr.supercore.app_utils import start_parent_process_monitor

    start_parent_process_monitor(parent_pid)


class Control:
    """The operator's half of the SuperLink, over TLS on this machine, with the token.

    Args:
        federation: its server must be running.

    Raises:
        httpx.HTTPError: from every method, when the server does not answer or refuses.
    """

    def __init__(self, federation: Federation) -> None:
        self._client = ControlHttpClient.from_server_address(
            federation.local_address,
            False,
            federation.authority_certificate.read_bytes(),
            interceptors=[
                RuntimeVersionHttpInterceptor(component_name="flwr CLI"),
                _Bearer(federation.token.read_text().strip()),
            ],
        )

    def __enter__(self) -> "Control":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def nodes(self) -> list[NodeInfo]:
        """Registered nodes, connected or not."""
        return [node for node in self._client.ListNodes(ListNodesRequest()).nodes_info if not node.unregistered_at]

    def register(self, site: str, public_key: bytes) -> None:
        """Admit a node under the site's name; `public_key` is in the form of `node_key`."""
        self._client.RegisterNode(RegisterNodeRequest(public_key=public_key, name=site))

    def unregister(self, node_id: int) -> None:
        """Shut a node out; it is disconnected at its next request."""
        self._client.UnregisterNode(UnregisterNodeRequest(node_id=node_id))

    def start_run(self, options: Mapping[str, str]) -> int:
        """Submit the bundle as a run with these run-config values; returns the run's id."""
        content = bundle_bytes()
        fab = Fab(hashlib.sha256(content).hexdigest(), content, {})
        request = StartRunRequest(fab=fab_to_proto(fab), override_config=user_config_to_proto(dict(options)))
        return int(self._client.StartRun(request).run_id)

    def run_end(self, run_id: int) -> str | None:
        """How the run ended, in words for the operator; None while it goes on."""
        runs = self._client.ListRuns(ListRunsRequest(run_id=run_id)).run_dict
        if run_id not in runs:
            return "the SuperLink does not know it any more"
        status = runs[run_id].status
        return f"{status.sub_status} {status.details}".strip() if status.status == "finished" else None

    def stop_run(self, run_id: int) -> None:
        """End a run; one that is over already stays as it is."""
        if self.run_end(run_id) is None:
            self._client.StopRun(StopRunRequest(run_id=run_id))


class _Bearer:
    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def intercept(self, context: ProtobufRequestContext, call_next: ProtobufCall) -> httpx.Response:
        context.request.headers["authorization"] = self._header
        return call_next(context)
