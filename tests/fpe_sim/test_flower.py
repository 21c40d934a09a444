"""The adapter to Flower's simulation engine: who is behind which node."""

import threading
from collections.abc import Iterable

import pytest
from flwr.app import ConfigRecord, Message, RecordDict

from fpe_core.errors import FederationError
from fpe_server.local_grid import LocalGrid
from fpe_sim import flower
from fpe_sim.flower import EndingGrid, numbers_of_nodes, quiet_environment


def numbered(number: int) -> object:
    return lambda message: Message(RecordDict({"site": ConfigRecord({"number": number})}), reply_to=message)


def silent(_message: Message) -> Message:
    raise RuntimeError("no such site file")


class LateGrid(LocalGrid):
    """Its nodes appear some time after the server's part has begun."""

    def __init__(self, sites: dict[str, object], delay_s: float) -> None:
        super().__init__(sites)  # type: ignore[arg-type]
        self.there = threading.Event()
        threading.Timer(delay_s, self.there.set).start()

    def get_node_ids(self) -> Iterable[int]:
        return super().get_node_ids() if self.there.is_set() else []


def test_nodes_that_are_registered_late_are_waited_for() -> None:
    assert numbers_of_nodes(LateGrid({"a": numbered(1), "b": numbered(0)}, 0.3), 2) == {2: 1, 3: 0}


def test_a_node_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(FederationError, match="1 of 2 virtual sites answered"):
        numbers_of_nodes(LocalGrid({"a": numbered(0), "b": silent}), 2)  # type: ignore[dict-item]


def test_nodes_that_never_come_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flower, "_WHO_TIMEOUT_S", 0.2)
    with pytest.raises(FederationError, match="0 of 1 virtual sites answered"):
        numbers_of_nodes(LateGrid({"a": numbered(0)}, 1.0), 1)


def test_nothing_phones_home(tmp_path: object) -> None:
    variables = quiet_environment(tmp_path)  # type: ignore[arg-type]
    assert variables["FLWR_TELEMETRY_ENABLED"] == variables["RAY_USAGE_STATS_ENABLED"] == "0"
    assert variables["FLWR_HOME"] == str(tmp_path)


def test_a_simulation_that_is_broken_off_lets_nobody_wait() -> None:
    over = threading.Event()
    grid = EndingGrid(LocalGrid({"a": numbered(0)}), over)  # type: ignore[dict-item]
    assert numbers_of_nodes(grid, 1) == {2: 0}
    over.set()
    for ask in (grid.get_nodes, grid.get_node_ids, lambda: grid.push_messages([]), lambda: grid.pull_messages([])):
        with pytest.raises(FederationError, match="broken off"):
            ask()
