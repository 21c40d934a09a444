"""Frames on the trainer's socket, and its address in a folder with a long path."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from fpe_client.frames import Step, progress_frame, read_frame, reply_frame, socket_address
from fpe_core.errors import StateUnreadable


def test_frames_come_back_as_they_went() -> None:
    step = Step("train", 3, 10)
    assert read_frame(progress_frame(step)) == step
    assert read_frame(reply_frame(b"\x00\x01")) == b"\x00\x01"


@pytest.mark.parametrize("frame", [b"", b"X", b"P", b"P{}", b"P[1]", b'P{"stage": "s", "done": 1, "more": 2}'])
def test_anything_else_is_unreadable(frame: bytes) -> None:
    with pytest.raises(StateUnreadable):
        read_frame(frame)


def test_a_folder_with_a_path_of_300_bytes_holds_a_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 150) / ("y" * 150)
    folder.mkdir(parents=True)
    status = health.HealthServicer()
    status.set("", health_pb2.HealthCheckResponse.SERVING)
    server = grpc.server(ThreadPoolExecutor(1))
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    with socket_address(folder) as address:
        server.add_insecure_port(address)
        server.start()
        try:
            assert (folder / "trainer.sock").is_socket()
            with socket_address(folder) as other, grpc.insecure_channel(other) as channel:
                answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        finally:
            server.stop(None).wait()
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
