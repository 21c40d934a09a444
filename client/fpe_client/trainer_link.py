"""The gate's and the supervisor's end of the trainer's socket."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from fpe_client.frames import CHANNEL_OPTIONS, METHOD, Step, read_frame, socket_address
from fpe_core.errors import StateUnreadable, TrainerOverdue, TrainerUnavailable
from fpe_core.protocol import Reply, Request, reply_from_bytes, to_bytes

NUM_TRIES = 2
"""A trainer that died under a request gets it once more when it is back."""


def start_timeout_s(overdue_after_s: float) -> float:
    """How long a gate waits for a trainer that is not there, in seconds: it may be starting again."""
    return min(120.0, overdue_after_s)


class Health(Enum):
    """What the trainer says about itself."""

    SERVING = "serving"
    WEDGED = "wedged"
    SILENT = "silent"
    """Starting, or too busy to answer, or gone."""


def ask_trainer(
    folder: Path,
    request: Request,
    *,
    overdue_after_s: float,
    on_step: Callable[[Step], None],
) -> Reply:
    """Send a request to the trainer and wait for its reply.

    Args:
        folder: the site's `state_dir`.
        request: what the server asked.
        overdue_after_s: longest silence that is waited for, in seconds.
        on_step: called with every progress frame.

    Raises:
        TrainerUnavailable: the trainer did not come up, or died under this request twice.
        TrainerOverdue: no progress for `overdue_after_s`.
        StateUnreadable: the trainer's answer is not a reply, or it did not understand the request.
    """
    frame = to_bytes(request)
    for _ in range(NUM_TRIES):
        with _channel(folder) as channel:
            _wait_until_ready(channel, start_timeout_s(overdue_after_s))
            try:
                return _exchange(channel, frame, overdue_after_s, on_step)
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                    raise StateUnreadable("the trainer refused the request's form") from None
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise TrainerUnavailable(f"the trainer's socket failed: {error.code().name}") from None
    raise TrainerUnavailable(f"the trainer died under this request {NUM_TRIES} times", hint="see logs/trainer.log")


def trainer_health(folder: Path, *, timeout_s: float = 2.0) -> Health:
    """Ask the trainer's standard health service."""
    with _channel(folder) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
        except grpc.RpcError:
            return Health.SILENT
    serving = answer.status == health_pb2.HealthCheckResponse.SERVING
    return Health.SERVING if serving else Health.WEDGED


def _exchange(channel: grpc.Channel, frame: bytes, overdue_after_s: float, on_step: Callable[[Step], None]) -> Reply:
    call = channel.unary_stream(METHOD)(frame)
    with _Watchdog(overdue_after_s, call.cancel) as watchdog:
        try:
            for part in call:
                watchdog.fed()
                content = read_frame(part)
                if isinstance(content, bytes):
                    return reply_from_bytes(content)
                on_step(content)
        except grpc.RpcError:
            if watchdog.barked:
                raise TrainerOverdue(f"no progress for {overdue_after_s:g} s") from None
            raise
    raise TrainerUnavailable("the trainer hung up without a reply")


@contextmanager
def _channel(folder: Path) -> Iterator[grpc.Channel]:
    try:
        with socket_address(folder) as address, grpc.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
            yield channel
    except FileNotFoundError:
        raise TrainerUnavailable(f"{folder}: no such folder", hint="start fpe-client --site FILE") from None


def _wait_until_ready(channel: grpc.Channel, timeout_s: float) -> None:
    """A trainer that is up answers the health service at once; one that comes up later does so then."""
    try:
        health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), timeout=timeout_s, wait_for_ready=True
        )
    except grpc.RpcError:
        raise TrainerUnavailable(f"the trainer did not come up within {timeout_s:g} s") from None


class _Watchdog:
    """Calls `bark` once when it has not been fed for `patience_s`."""

    def __init__(self, patience_s: float, bark: Callable[[], object]) -> None:
        self.barked = False
        self._patience_s = patience_s
        self._bark = bark
        self._fed_at = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def fed(self) -> None:
        self._fed_at = time.monotonic()

    def _watch(self) -> None:
        while not self._done.wait(min(0.25, self._patience_s / 4)):
            if time.monotonic() - self._fed_at > self._patience_s:
                self.barked = True
                self._bark()
                return

    def __enter__(self) -> "_Watchdog":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
