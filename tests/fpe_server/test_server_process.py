"""A real `fpe-server start`: admission at once, orderly ends, and what happens after kill -9."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fpe_server.federation import Federation
from fpe_server.flower import Control
from fpe_server.locks import holder

pytestmark = pytest.mark.integration

StartServer = Callable[..., Any]
Wait = Callable[..., None]


def superlink_pid(server: Any) -> int:
    for pid in server.members():
        if b"fpe_server.superlink" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return int(pid)
    raise AssertionError("no SuperLink runs")


def node_ids(federation: Federation) -> dict[str, int]:
    with Control(federation) as control:
        return {node.name: node.node_id for node in control.nodes()}


def test_life_of_a_server(start_server: StartServer, make_key: Callable[..., Path], federation: Federation) -> None:
    server = start_server()
    assert server.wait_until_serving()["pid"] == server.process.pid

    assert server.ask("admit", "north", str(make_key("a")))["data"] == {"site": "north", "at_once": True}
    (site,) = server.ask("status")["data"]["sites"]
    assert site == {"site": "north", "connected": False, "since": None}
    first = node_ids(federation)
    assert list(first) == ["north"]

    assert server.ask("admit", "north", str(make_key("b")))["exit_code"] == 7
    assert node_ids(federation) == first
    assert server.ask("admit", "north", str(make_key("b")), "--replace")["exit_code"] == 0
    assert node_ids(federation) != first
    assert server.ask("revoke", "north")["data"]["at_once"]
    assert node_ids(federation) == {}

    second = server.ask("start")
    assert second["exit_code"] == 7
    assert second["data"]["code"] == "FPE-607"

    assert server.ask("stop")["exit_code"] == 0
    assert server.process.wait(timeout=20) == 0
    assert server.members() == []
    assert server.ask("status")["data"]["health"] == "STOPPED"
    assert server.ask("stop")["data"]["code"] == "FPE-606"


def test_ctrl_c_ends_it_in_order(start_server: StartServer) -> None:
    server = start_server()
    server.wait_until_serving()
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(timeout=20) == 0
    assert server.members() == []


def test_killed_superlink_is_replaced_and_knows_its_nodes(
    start_server: StartServer, make_key: Callable[..., Path], federation: Federation, wait: Wait
) -> None:
    server = start_server()
    server.wait_until_serving()
    server.ask("admit", "north", str(make_key("a")))
    before, nodes, token = superlink_pid(server), node_ids(federation), federation.token.read_text()
    os.kill(before, signal.SIGKILL)
    wait(lambda: federation.token.read_text() != token)
    server.wait_until_serving()
    assert superlink_pid(server) != before
    assert node_ids(federation) == nodes
    assert "starting it again" in server.words.read_text()


def test_killed_coordinator_leaves_nothing_behind(
    start_server: StartServer, federation: Federation, wait: Wait
) -> None:
    server = start_server()
    server.wait_until_serving()
    server.process.kill()
    server.process.wait(timeout=10)
    assert holder(federation.lock) is None
    wait(lambda: server.members() == [])
    again = start_server()
    assert again.wait_until_serving()["pid"] == again.process.pid


def test_taken_port_is_a_configuration_error(start_server: StartServer, federation: Federation) -> None:
    with socket.create_server(("127.0.0.1", federation.config.port)):
        server = start_server()
        assert server.process.wait(timeout=40) == 3
    assert "cannot listen" in server.words.read_text()
    assert "hint: change `bind` or `port`" in server.words.read_text()
