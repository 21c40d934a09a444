"""Which Ray a run works on: one of its own, or a cluster that somebody started, by its address."""

import socket
from typing import Any, Final

from fpe_core.errors import ConfigValueInvalid

_PATIENCE_S: Final = 5.0
_LAST_PORT: Final = 65535


def ray_options(address: str | None, *, num_cpus: int) -> dict[str, Any]:
    """Options of `ray.init`.

    Args:
        address: host:port of a cluster; its own CPUs count then.
        num_cpus: of a Ray of one's own. It is started even where another one is at work on this machine, which Ray
            would otherwise join, only to refuse the number.
    """
    where = {"address": address} if address else {"address": "local", "num_cpus": num_cpus}
    return {**where, "include_dashboard": False}


def check_ray_address(address: str) -> None:
    """Knock at a cluster's door before anything is made: Ray itself knocks for more than ten minutes.

    Raises:
        ConfigValueInvalid: it is no host:port, or nobody answers.
    """
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not (port.isdecimal() and 0 < int(port) <= _LAST_PORT):
        raise ConfigValueInvalid(
            f"--ray {address}: expected HOST:PORT",
            hint="the address that ray start --head prints, such as 10.0.0.7:6379",
        )
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE_S).close()
    except (OSError, UnicodeError) as error:
        raise ConfigValueInvalid(
            f"--ray {address}: nobody answers there ({getattr(error, 'strerror', None) or error})",
            hint="start the cluster with ray start --head, or leave --ray out to work on this machine alone",
        ) from None
