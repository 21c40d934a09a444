"""Takes the network away from the process that holds patient data.

Two locks, because each has a gap. The kernel's is complete: in a network namespace of its own the process has no
interface at all, whatever language asks; but some hosts forbid it. Python's audit hook works everywhere, but sees only
sockets made from Python. Unix sockets in the file system pass through both.
"""

import ctypes
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000


def leave_network() -> bool:
    """Forbid network sockets for the rest of this process's life. Call it before any thread starts.

    Returns:
        True when the kernel took the network away, False when only the Python lock holds.
    """
    sys.addaudithook(_refuse_network_sockets)
    return _own_network_namespace()


def grpc_environment() -> Mapping[str, str]:
    """Settings that keep gRPC's C core from looking for a proxy or a name server."""
    return {"GRPC_DNS_RESOLVER": "native", "no_grpc_proxy": "*", "GRPC_ENABLE_FORK_SUPPORT": "0"}


def _refuse_network_sockets(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.__new__" and arguments[1] != socket.AF_UNIX:
        raise PermissionError("the trainer opens no network socket")
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        raise PermissionError("the trainer asks no name server")


def _own_network_namespace() -> bool:
    """Try in a child first: a host that allows only half of it must not leave this process in between."""
    child = os.fork()
    if child == 0:
        os._exit(0 if _enter_network_namespace() else 1)
    _, status = os.waitpid(child, 0)
    return status == 0 and _enter_network_namespace()


def _enter_network_namespace() -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWNET) == 0:
        return True
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    try:
        # The same user and group inside the new namespace as outside: files keep their owners.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    except OSError:
        return False
    return True
