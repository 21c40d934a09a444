"""The door of the public port: who may ask for which path, decided before Flower sees the request.

Flower serves three interfaces on one port: Fleet for the sites (signed by each node's key), Control for the operator
and Runtime for its own worker processes. From the network only Fleet and the health path exist. On the machine itself
Control needs the bearer token; Runtime is guarded by Flower's task tokens and by the executor's shared secret. Of both
only the paths that this platform uses exist; everything else (interactive documentation, connectors, invitations)
exists for nobody.
"""

import asyncio
import hmac
import ipaddress
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

CONTROL_PATHS = frozenset(
    f"/v1/control/{name}"
    for name in ("start-run", "stop-run", "list-runs", "list-nodes", "register-node", "unregister-node")
)
RUNTIME_PATHS = frozenset(
    f"/v1/runtime/{name}"
    for name in (
        "acquire-task",
        "send-task-heartbeat",
        "pull-task-input",
        "push-task-output",
        "push-logs",
        "get-nodes",
        "push-messages",
        "pull-messages",
        "push-object",
        "pull-object",
        "confirm-message-received",
    )
)
LONGEST_WAIT_S = 4.0
# A program that passes a request on says for whom: then the peer's own address proves nothing.
_PASSED_ON = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"})


class Gate:
    """ASGI application in front of another one.

    Fleet requests wait until the fleet is open, so that no site is told that its key is unknown while the admitted keys
    are still being made known.

    Args:
        app: the application behind the gate.
        token: the bearer token that Control paths need.
        fleet_open: whether every admitted key is known.
    """

    def __init__(self, app: AsgiApp, *, token: str, fleet_open: Callable[[], bool] = lambda: True) -> None:
        self._app = app
        self._token = token.encode()
        self._fleet_open = fleet_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        status = self._refusal(scope)
        if status is None and scope["path"].startswith("/v1/fleet/"):
            status = await self._until_open()
        if status is None:
            return await self._app(scope, receive, send)
        return await _answer(send, status)

    async def _until_open(self) -> int | None:
        """None once the fleet is open; 503 where that takes longer than a site should wait."""
        end = time.monotonic() + LONGEST_WAIT_S
        while not self._fleet_open():
            if time.monotonic() > end:
                return 503
            await asyncio.sleep(0.05)
        return None

    def _refusal(self, scope: Scope) -> int | None:
        """HTTP status to refuse with, or None to let the request in."""
        path = scope["path"]
        if path == "/health" or path.startswith("/v1/fleet/"):
            return None
        if not _is_local(scope):
            return 404
        if path in CONTROL_PATHS:
            return None if self._has_token(scope) else 401
        return None if path in RUNTIME_PATHS else 404

    def _has_token(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        return len(given) == 1 and hmac.compare_digest(given[0], b"Bearer " + self._token)


def _is_local(scope: Scope) -> bool:
    if any(name in _PASSED_ON for name, _ in scope["headers"]):
        return False
    host = (scope.get("client") or ("",))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


async def _answer(send: Send, status: int) -> None:
    body = b'{"detail":"%b"}' % HTTPStatus(status).phrase.encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
