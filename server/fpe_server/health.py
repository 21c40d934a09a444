"""The server's own health service (grpc.health.v1) on a loopback port: the whole, and one service per site."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

WHOLE = ""
"""Name of the service that stands for the server as a whole."""

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def site_service(site: str) -> str:
    """Name of the health service that stands for one site."""
    return f"site/{site}"


class HealthService:
    """SERVING while the SuperLink answers; each admitted site is SERVING while it is connected.

    Attributes:
        address: host:port on which it listens.
    """

    def __init__(self) -> None:
        self._servicer = health.HealthServicer()
        self._server = grpc.server(ThreadPoolExecutor(max_workers=2))
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._servicer.set(WHOLE, _NOT_SERVING)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._servicer.enter_graceful_shutdown()
        self._server.stop(grace=1.0).wait(timeout=2.0)

    def update(self, *, serving: bool, admitted: Iterable[str] = (), connected: Iterable[str] = ()) -> None:
        """Set what is answered from now on."""
        self._servicer.set(WHOLE, _SERVING if serving else _NOT_SERVING)
        present = set(connected)
        for site in admitted:
            self._servicer.set(site_service(site), _SERVING if serving and site in present else _NOT_SERVING)


def ask_health(address: str, *, service: str = WHOLE, timeout_s: float = 2.0) -> str:
    """Ask the health service at `address`.

    Returns:
        SERVING, NOT_SERVING, UNKNOWN (no such service), UNREACHABLE, or OVERDUE when it did not answer in time.
    """
    with grpc.insecure_channel(address) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=timeout_s
            )
        except grpc.RpcError as error:
            return _in_words(error.code())
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))


def _in_words(code: grpc.StatusCode) -> str:
    if code is grpc.StatusCode.NOT_FOUND:
        return "UNKNOWN"
    return "OVERDUE" if code is grpc.StatusCode.DEADLINE_EXCEEDED else "UNREACHABLE"
