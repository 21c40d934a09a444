"""The gate, asked directly: who is let in to which path."""

import asyncio
from typing import Any

import pytest

from fpe_server.flower import make_superlink, route_paths
from fpe_server.gate import CONTROL_PATHS, RUNTIME_PATHS, Gate

# Flower's database migrations are configured in a way that the newest Alembic calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:No path_separator found:DeprecationWarning")

TOKEN = "secret-token"
BEARER = (b"authorization", b"Bearer secret-token")
PATHS = [
    "/health",
    "/v1/fleet/pull-messages",
    "/v1/control/list-runs",
    "/v1/control/create-invitation",
    "/v1/runtime/acquire-task",
    "/v1/runtime/responses",
    "/docs",
    "/openapi.json",
    "/",
    "",
]


async def _inner(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inside"})


def knock(path: str, peer: str | None, *headers: tuple[bytes, bytes]) -> int:
    scope = {"type": "http", "path": path, "headers": list(headers), "client": (peer, 5000) if peer else None}
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    asyncio.run(Gate(_inner, token=TOKEN)(scope, receive, send))
    return int(sent[0]["status"])


@pytest.mark.parametrize("peer", ["192.0.2.9", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.9", "testclient", None])
@pytest.mark.parametrize("path", PATHS)
def test_outsider_sees_fleet_and_health_only(path: str, peer: str | None) -> None:
    expected = 200 if path in ("/health", "/v1/fleet/pull-messages") else 404
    assert knock(path, peer) == expected
    assert knock(path, peer, BEARER) == expected


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_insider_needs_the_token_for_control(peer: str) -> None:
    path = "/v1/control/list-runs"
    assert knock(path, peer) == 401
    assert knock(path, peer, (b"authorization", b"Bearer wrong")) == 401
    assert knock(path, peer, (b"authorization", b"secret-token")) == 401
    assert knock(path, peer, BEARER, BEARER) == 401
    assert knock(path, peer, BEARER) == 200


def test_insider_reaches_the_runtime_paths_that_are_in_use() -> None:
    assert knock("/v1/runtime/acquire-task", "127.0.0.1") == 200
    assert knock("/v1/runtime/responses", "127.0.0.1", BEARER) == 404


@pytest.mark.parametrize("header", [b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via"])
def test_request_that_was_passed_on_comes_from_outside(header: bytes) -> None:
    assert knock("/v1/control/list-runs", "127.0.0.1", BEARER, (header, b"127.0.0.1")) == 404


def test_websockets_are_closed() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/health", "headers": [], "client": ("127.0.0.1", 1)}
    asyncio.run(Gate(_inner, token=TOKEN)(scope, None, send))  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_every_open_path_exists(started_federation: Any) -> None:
    missing = (CONTROL_PATHS | RUNTIME_PATHS) - route_paths(make_superlink(started_federation))
    assert missing == set()


def test_every_path_of_the_superlink_is_closed_to_outsiders(started_federation: Any) -> None:
    paths = route_paths(make_superlink(started_federation))
    assert len(paths) > 70
    public = {path for path in paths if knock(path, "192.0.2.9", BEARER) == 200}
    assert public == {path for path in paths if path.startswith("/v1/fleet/")} | {"/health"}


def test_every_path_of_the_superlink_is_closed_to_insiders_without_the_token(started_federation: Any) -> None:
    paths = route_paths(make_superlink(started_federation))
    reached = {path for path in paths if knock(path, "127.0.0.1") == 200}
    assert {path for path in reached if path.startswith("/v1/control")} == set()
    assert reached - RUNTIME_PATHS == {path for path in paths if path.startswith("/v1/fleet/")} | {"/health"}


def test_sites_wait_until_the_admitted_keys_are_known() -> None:
    """A request that comes a moment too early is answered as one that comes in time."""
    answers = iter([False, False, True])
    asked: list[str] = []

    async def inner(scope: Any, _receive: Any, _send: Any) -> None:
        asked.append(scope["path"])

    gate = Gate(inner, token=TOKEN, fleet_open=lambda: next(answers))
    scope = {"type": "http", "path": "/v1/fleet/activate-node", "headers": [], "client": ("10.0.0.1", 1)}
    asyncio.run(gate(scope, None, None))  # type: ignore[arg-type]
    assert asked == ["/v1/fleet/activate-node"]
    assert next(answers, None) is None


def test_a_fleet_that_does_not_open_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fpe_server.gate.LONGEST_WAIT_S", 0.1)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    gate = Gate(_inner, token=TOKEN, fleet_open=lambda: False)
    scope = {"type": "http", "path": "/v1/fleet/activate-node", "headers": [], "client": ("10.0.0.1", 1)}
    asyncio.run(gate(scope, None, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 503
    assert b"Service Unavailable" in sent[1]["body"]
    health = {**scope, "path": "/health"}
    sent.clear()
    asyncio.run(gate(health, None, send))  # type: ignore[arg-type]
    assert sent[0]["status"] != 503
