"""The trainer's gRPC server on its unix socket, with the standard health service."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from fpe_client.desk import Desk, Work
from fpe_client.frames import CHANNEL_OPTIONS, METHOD, SOCKET_NAME, socket_address
from fpe_client.paths import SitePaths
from fpe_core.config.site import SiteConfig
from fpe_core.errors import FpeError

log = logging.getLogger(__name__)


def serve(config: SiteConfig, work: Work) -> None:
    """Answer requests on the socket until the process is stopped. Work runs in the calling thread."""
    desk = Desk(work)
    paths = SitePaths(config.state_dir)
    paths.create()
    with socket_address(paths.root) as address:
        server, status = _server(desk, address, paths.root / SOCKET_NAME)
        threading.Thread(
            target=_report_health, args=(status, desk, config.trainer.overdue_after_s), daemon=True
        ).start()
        try:
            while True:
                desk.work_once(timeout_s=1.0)
        finally:
            server.stop(grace=None)


def _server(desk: Desk, address: str, socket_file: Path) -> tuple[grpc.Server, health.HealthServicer]:
    def exchange(frame: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        try:
            yield from desk.exchange(frame, connected=context.is_active)
        except FpeError as error:
            log.error("a frame was refused [%s]: %s", error.code, error)
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.code)

    _, service, method = METHOD.split("/")
    handlers = {method: grpc.unary_stream_rpc_method_handler(exchange)}
    status = health.HealthServicer()
    server = grpc.server(ThreadPoolExecutor(8), options=CHANNEL_OPTIONS)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    socket_file.unlink(missing_ok=True)
    umask = os.umask(0o177)
    try:
        server.add_insecure_port(address)
        server.start()
    finally:
        os.umask(umask)
    return server, status


def _report_health(status: health.HealthServicer, desk: Desk, overdue_after_s: float) -> None:
    while True:
        wedged = desk.silent_s() > overdue_after_s
        serving = health_pb2.HealthCheckResponse.NOT_SERVING if wedged else health_pb2.HealthCheckResponse.SERVING
        status.set("", serving)
        time.sleep(min(0.5, overdue_after_s / 4))
