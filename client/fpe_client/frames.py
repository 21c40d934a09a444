"""What passes through the trainer's socket: a request in, frames of progress and one reply out."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from fpe_core.errors import StateUnreadable

METHOD = "/fpe.Trainer/Exchange"
SOCKET_NAME = "trainer.sock"
CHANNEL_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A trainer that restarts is back within seconds: look for its socket again soon, not after gRPC's 120 s.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_http_proxy", 0),
]


@dataclass(frozen=True)
class Step:
    """How far the trainer is."""

    stage: str
    done: int
    total: int


def progress_frame(step: Step) -> bytes:
    """`P` and the step as JSON."""
    return b"P" + json.dumps(asdict(step)).encode()


def reply_frame(reply: bytes) -> bytes:
    """`R` and the bytes of a reply."""
    return b"R" + reply


def read_frame(frame: bytes) -> Step | bytes:
    """A step of progress, or the bytes of the reply.

    Raises:
        StateUnreadable: neither.
    """
    if frame[:1] == b"R":
        return frame[1:]
    try:
        if frame[:1] == b"P":
            return Step(**json.loads(frame[1:]))
    except (ValueError, TypeError):
        pass
    raise StateUnreadable("a frame from the trainer is neither progress nor a reply")


@contextmanager
def socket_address(folder: Path) -> Iterator[str]:
    """gRPC address of the socket in `folder`, however long its path.

    A socket's path may have 107 bytes. The folder's own descriptor gives a short name for any folder.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"unix:/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)
