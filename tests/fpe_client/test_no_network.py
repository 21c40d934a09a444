"""The trainer's process can open no network socket."""

import subprocess
import sys

import pytest

PROBE = """
import socket, sys
from fpe_client import no_network
{lock}
for family in (socket.AF_INET, socket.AF_INET6):
    try:
        stream = socket.socket(family, socket.SOCK_STREAM)
        stream.settimeout(2)
        stream.connect(("::1" if family == socket.AF_INET6 else "127.0.0.1", 9))
    except OSError as error:
        print(type(error).__name__, error.errno)
try:
    socket.getaddrinfo("localhost", 80)
except OSError as error:
    print(type(error).__name__)
pair = socket.socketpair(socket.AF_UNIX)
pair[0].send(b"x")
print(pair[1].recv(1).decode(), len(socket.if_nameindex()))
"""


def run(lock: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(lock=lock)], capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout.splitlines()


def test_python_can_open_unix_sockets_only() -> None:
    lines = run("sys.addaudithook(no_network._refuse_network_sockets)")
    assert lines[:3] == ["PermissionError None"] * 2 + ["PermissionError"]
    assert lines[3].startswith("x ")


def test_the_kernel_leaves_no_network_at_all() -> None:
    lines = run("entered = no_network._own_network_namespace(); print('entered', entered)")
    if lines[0] == "entered False":
        pytest.skip("this host forbids network namespaces")
    assert all("ConnectionRefusedError" not in line for line in lines[1:3])
    assert len([line for line in lines[1:3] if line.startswith("OSError 101") or line.startswith("OSError 99")]) == 2


def test_both_locks_hold_together() -> None:
    assert run("no_network.leave_network()")[0] == "PermissionError None"
