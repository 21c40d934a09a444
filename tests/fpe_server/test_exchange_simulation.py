"""The exchange on Flower's in-memory grid, which a simulation uses."""

import threading
from collections.abc import Callable, Iterator

import pytest
from flwr.app import Message
from flwr.server.superlink.linkstate import LinkState, LinkStateFactory
from flwr.supercore.constant import FLWR_IN_MEMORY_DB_NAME
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.superlink.federation import NoOpFederationManager
from flwr.superlink.grid import InMemoryGrid

from fpe_core.protocol import Reply, Request
from fpe_server.exchange import GridExchange
from fpe_server.flower import assume_task_identity
from fpe_server.records import reply_to_record, request_from_record


class Simulation:
    """Two nodes that answer from a thread, as Flower's simulation engine does."""

    def __init__(self, handler: Callable[[Request], Reply]) -> None:
        factory = LinkStateFactory(FLWR_IN_MEMORY_DB_NAME, NoOpFederationManager(), ObjectStoreFactory())
        self.state: LinkState = factory.state()
        self.node_ids = [self.state.create_node("aid", "account", bytes([i]), 1e9) for i in range(2)]
        for node_id in self.node_ids:
            self.state.acknowledge_node_heartbeat(node_id, 1e9)
        run_id = self.state.create_run(None, None, "0" * 64, {}, "@none/default", None, "aid", "flwr-serverapp")
        self.grid = InMemoryGrid(factory)
        self.grid.set_run(self.state.get_run_info(run_ids=[run_id])[0])
        assume_task_identity(run_id=run_id)
        self._handler = handler
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while not self._stopping.wait(0.02):
            for node_id in self.node_ids:
                for message in self.state.get_message_ins(node_id, limit=1):
                    self._answer(message)

    def _answer(self, message: Message) -> None:
        record = reply_to_record(self._handler(request_from_record(message.content)))
        reply = Message(record, reply_to=message)
        reply.metadata.__dict__["_message_id"] = f"reply-{message.metadata.message_id}"
        assert self.state.store_message_res(reply)

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=10)


@pytest.fixture
def simulation(echo: Callable[[Request], Reply]) -> Iterator[Simulation]:
    simulation = Simulation(echo)
    yield simulation
    simulation.close()


def test_simulated_sites_answer(simulation: Simulation, request_for: Callable[..., Request]) -> None:
    names = dict(zip(simulation.node_ids, ("north", "south"), strict=True))
    exchange = GridExchange(simulation.grid, site_names=names)
    assert exchange.online_sites() == ("north", "south")
    for round_number in (1, 2):
        request = request_for(round_number)
        replies = exchange.ask(dict.fromkeys(("north", "south"), request), quorum=2, deadline_s=20, grace_s=0)
        assert [reply.header.failure for reply in replies.values()] == [None, None]
        assert {reply.header.round_number for reply in replies.values()} == {round_number}
