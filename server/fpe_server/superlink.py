"""The SuperLink behind the gate, as a process of its own: `python -m fpe_server.superlink FOLDER PARENT_PID`."""

import logging
import sys
from pathlib import Path

import uvicorn

from fpe_server.federation import Federation
from fpe_server.flower import end_with_parent, forget_runs, make_superlink
from fpe_server.gate import Gate

_ROUTINE = frozenset({"ControlServicer.ListNodes", "ControlServicer.ListRuns"})
"""What Flower logs for each of the coordinator's own looks, several times a second."""


def main(folder: Path, parent_pid: int) -> None:
    """Serve until interrupted, or until the parent process is gone."""
    end_with_parent(parent_pid)
    logging.getLogger("flwr").addFilter(lambda record: record.getMessage() not in _ROUTINE)
    federation = Federation.open(folder)
    forget_runs(federation.database)
    uvicorn.run(
        Gate(make_superlink(federation), token=federation.token.read_text(), fleet_open=federation.fleet_open.exists),
        host=federation.config.bind,
        port=federation.config.port,
        ssl_certfile=str(federation.server_certificate),
        ssl_keyfile=str(federation.server_key),
        # A peer's address is what the socket says; headers can be written by anyone.
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=3,
        workers=1,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
