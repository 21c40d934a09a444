"""The one place that touches Flower's simulation engine.

`run_simulation` is deprecated, and its successor leaves a SuperLink running behind the user's back; the function below
both of them runs server and Ray workers in one process tree. The Flower version is pinned, and a test runs this.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event, Timer

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.simulation.run_simulation import _run_simulation
from flwr.supercore.telemetry import EventType

from fpe_core.errors import FederationError
from fpe_server.flower import NodeInfo, Run
from fpe_sim.console import EXIT_INTERRUPTED
from fpe_sim.ray_cluster import ray_options
from fpe_sim.virtual_site import WHO

_WHO_TIMEOUT_S = 300.0
_NODES_POLL_S = 0.1
_LEAVE_S = 5.0


def quiet_environment(home: Path) -> dict[str, str]:
    """Environment for Flower and Ray: nothing phones home, and nothing is written outside `home` and /tmp."""
    return {
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }


def simulate(
    client_app: ClientApp,
    main: Callable[[Grid], None],
    *,
    num_sites: int,
    num_cpus: int,
    gpus_per_site: float,
    home: Path,
    ray_address: str | None = None,
) -> None:
    """Run `main` with a grid of virtual sites on Ray, and return when it returns.

    Args:
        client_app: what each site does with a message.
        main: the server's part.
        num_sites: number of virtual sites.
        num_cpus: CPUs that Ray may use; each site at work takes one.
        gpus_per_site: share of a GPU that each site at work takes.
        home: Flower's home folder.
        ray_address: a Ray cluster to use instead of starting one here; its own CPUs count then, not `num_cpus`.

    Raises:
        FpeError: what `main` raised.
    """
    os.environ.update(quiet_environment(home))
    logging.getLogger("flwr").setLevel(logging.ERROR)
    server_app = ServerApp()
    raised: list[Exception] = []
    over = Event()

    @server_app.main()
    def run(grid: Grid, _context: Context) -> None:
        try:
            main(EndingGrid(grid, over))
        except Exception as error:
            # Flower would wrap it; the caller wants the error itself.
            raised.append(error)
            raise

    try:
        _run_simulation(
            num_supernodes=num_sites,
            exit_event=EventType.PYTHON_API_RUN_SIMULATION_LEAVE,
            client_app=client_app,
            server_app=server_app,
            backend_config={
                "init_args": ray_options(ray_address, num_cpus=num_cpus),
                "client_resources": {"num_cpus": 1, "num_gpus": gpus_per_site},
            },
        )
    except KeyboardInterrupt:
        _leave_soon()
        raise
    except Exception:
        if not raised:
            raise
    finally:
        # After Ctrl-C the workers are gone, and the server's part would wait for their answers until its deadline.
        over.set()
    if raised:
        raise raised[0]


def _leave_soon() -> None:
    """End this process, whatever its threads wait for: Flower's may wait for ever for an answer of Ray's, which is
    gone by then. What has to be said and written until then takes less."""
    timer = Timer(_LEAVE_S, os._exit, (EXIT_INTERRUPTED,))
    timer.daemon = True
    timer.start()


class EndingGrid(Grid):
    """Another grid, which no longer serves once the simulation is over.

    Args:
        grid: Flower's own.
        over: set when the simulation is.
    """

    def __init__(self, grid: Grid, over: Event) -> None:
        self._grid = grid
        self._over = over

    def set_run(self, run: Run) -> None:
        self._open.set_run(run)

    @property
    def run(self) -> Run:
        return self._open.run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        return self._open.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        return self._open.get_node_ids()

    def get_nodes(self) -> Iterable[NodeInfo]:
        return self._open.get_nodes()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        return self._open.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return self._open.pull_messages(message_ids)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        return self._open.send_and_receive(messages, timeout=timeout)

    @property
    def _open(self) -> Grid:
        if self._over.is_set():
            raise FederationError("the simulation was broken off", hint="the same command goes on from here")
        return self._grid


def numbers_of_nodes(grid: Grid, num_sites: int) -> dict[int, int]:
    """Ask every virtual node which site it stands for.

    Returns:
        Number of the virtual site, from 0, by node id.

    Raises:
        FederationError: not every node answered.
    """
    end = time.monotonic() + _WHO_TIMEOUT_S
    # Flower's engine starts the server's part first and registers its nodes beside it.
    while len(nodes := list(grid.get_node_ids())) < num_sites and time.monotonic() < end:
        time.sleep(_NODES_POLL_S)
    questions = [Message(RecordDict(), dst_node_id=node, message_type=WHO) for node in nodes]
    numbers = {
        reply.metadata.src_node_id: int(str(reply.content.config_records["site"]["number"]))
        for reply in grid.send_and_receive(questions, timeout=max(0.0, end - time.monotonic()))
        if reply.has_content()
    }
    if len(numbers) != num_sites:
        raise FederationError(f"{len(numbers)} of {num_sites} virtual sites answered", hint="see the log of the run")
    return numbers
