"""Deadlines, quorum, lost sites, and replies that cannot be used; on an in-process grid with faults."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, RecordDict

from fpe_core.protocol import Kind, Reply, Request
from fpe_server.exchange import MAX_TRIES, GridExchange
from fpe_server.local_grid import LocalGrid, Site, site_of

ShortWait = {"quorum": 1, "deadline_s": 0.8, "grace_s": 0.2}
Ask = Callable[..., dict[str, Reply]]


class FaultyGrid(LocalGrid):
    """A grid whose sites lose messages: `lost` counts, per site, how many more are lost without a word."""

    def __init__(self, sites: dict[str, Site], lost: dict[str, int] | None = None) -> None:
        super().__init__(sites)
        self.lost = dict(lost or {})
        self.sent: list[str] = []

    def _deliver(self, message: Message) -> str:
        name = self.nodes[message.metadata.dst_node_id].name
        self.sent.append(name)
        message_id = super()._deliver(message)
        if self.lost.get(name, 0) > 0:
            self.lost[name] -= 1
            del self._replies[message_id]
        return message_id

    def reconnect(self, name: str) -> None:
        node = next(node for node in self.nodes.values() if node.name == name)
        node.last_activated_at = datetime.now(UTC).isoformat()


def code(reply: Reply) -> str | None:
    return reply.header.failure.code if reply.header.failure else None


def ask(grid: LocalGrid, request: Request, sites: tuple[str, ...] = ("a", "b"), **limits: float) -> dict[str, Reply]:
    options = ShortWait | {"quorum": len(sites)} | limits
    return GridExchange(grid).ask(dict.fromkeys(sites, request), **options)  # type: ignore[arg-type]


def error_site(error_code: int, times: int, then: Site) -> Site:
    left = [times]

    def answer(message: Message) -> Message:
        if left[0] > 0:
            left[0] -= 1
            return Message(Error(error_code, "Traceback: patient Jane Doe"), reply_to=message)
        return then(message)

    return answer


def test_every_site_answers(request_for: Callable[..., Request], echo: Callable[[Request], Reply]) -> None:
    seen: list[str] = []
    grid = LocalGrid({"a": site_of(echo), "b": site_of(echo)})
    exchange = GridExchange(grid)
    request = request_for()
    begin = time.monotonic()
    replies = exchange.ask(
        {"a": request, "b": request}, quorum=2, deadline_s=30, grace_s=10, on_reply=lambda site, _: seen.append(site)
    )
    assert time.monotonic() - begin < 2
    assert exchange.online_sites() == ("a", "b")
    assert sorted(seen) == ["a", "b"]
    for reply in replies.values():
        assert code(reply) is None
        assert reply.values is not None
        assert np.array_equal(reply.values, np.arange(6, dtype=np.float32))


def test_names_can_come_from_the_caller(echo: Callable[[Request], Reply]) -> None:
    grid = LocalGrid({"a": site_of(echo), "b": site_of(echo)})
    assert GridExchange(grid, site_names={2: "first", 3: "second"}).online_sites() == ("first", "second")
    assert GridExchange(grid, site_names=lambda: {3: "second"}).online_sites() == ("second",)


def test_site_that_stays_silent_is_overdue(
    request_for: Callable[..., Request], echo: Callable[[Request], Reply]
) -> None:
    grid = FaultyGrid({"a": site_of(echo), "b": site_of(echo)}, lost={"b": 99})
    begin = time.monotonic()
    replies = ask(grid, request_for())
    assert 0.7 < time.monotonic() - begin < 1.5
    assert code(replies["a"]) is None
    assert code(replies["b"]) == "FPE-603"
    assert grid.sent.count("b") == 1


def test_site_that_is_not_connected_is_lost(
    request_for: Callable[..., Request], echo: Callable[[Request], Reply]
) -> None:
    replies = ask(LocalGrid({"a": site_of(echo)}), request_for())
    assert code(replies["a"]) is None
    assert code(replies["b"]) == "FPE-602"


def test_quorum_starts_the_grace_period(request_for: Callable[..., Request], echo: Callable[[Request], Reply]) -> None:
    grid = FaultyGrid({"a": site_of(echo), "b": site_of(echo)}, lost={"b": 99})
    begin = time.monotonic()
    replies = ask(grid, request_for(), quorum=1, deadline_s=30, grace_s=0.3)
    assert time.monotonic() - begin < 2
    assert code(replies["b"]) == "FPE-603"


def test_failures_do_not_count_towards_the_quorum(
    request_for: Callable[..., Request], echo: Callable[[Request], Reply]
) -> None:
    grid = FaultyGrid(
        {"a": error_site(2, 99, site_of(echo)), "b": site_of(echo), "c": site_of(echo)}, lost={"b": 99, "c": 99}
    )
    begin = time.monotonic()
    ask(grid, request_for(), ("a", "b", "c"), quorum=1, deadline_s=0.8, grace_s=0.0)
    assert time.monotonic() - begin > 0.7


def test_lost_message_is_sent_again(request_for: Callable[..., Request], echo: Callable[[Request], Reply]) -> None:
    grid = FaultyGrid({"a": error_site(5, 1, site_of(echo)), "b": site_of(echo)})
    replies = ask(grid, request_for(), deadline_s=10)
    assert code(replies["a"]) is None
    assert grid.sent.count("a") == 2


def test_message_lost_in_a_restart_is_sent_again(
    request_for: Callable[..., Request], echo: Callable[[Request], Reply], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fpe_server.exchange.NODES_POLL_S", 0.2)
    grid = FaultyGrid({"a": site_of(echo)}, lost={"a": 1})
    looks = grid.get_nodes

    def restarts_on_the_second_look() -> object:
        if grid.sent == ["a"]:
            grid.reconnect("a")
        return looks()

    monkeypatch.setattr(grid, "get_nodes", restarts_on_the_second_look)
    replies = ask(grid, request_for(), ("a",), deadline_s=10)
    assert code(replies["a"]) is None
    assert grid.sent == ["a", "a"]


def test_site_that_is_lost_every_time_is_given_up(
    request_for: Callable[..., Request], echo: Callable[[Request], Reply]
) -> None:
    grid = FaultyGrid({"a": error_site(5, 99, site_of(echo))})
    begin = time.monotonic()
    replies = ask(grid, request_for(), ("a",), deadline_s=30)
    assert time.monotonic() - begin < 5
    assert code(replies["a"]) == "FPE-602"
    assert grid.sent == ["a"] * MAX_TRIES


@pytest.mark.parametrize(("flower_code", "ours"), [(1, "FPE-402"), (2, "FPE-402"), (7, "FPE-707"), (8, "FPE-402")])
def test_error_text_is_dropped(
    request_for: Callable[..., Request], echo: Callable[[Request], Reply], flower_code: int, ours: str
) -> None:
    replies = ask(LocalGrid({"a": error_site(flower_code, 9, site_of(echo))}), request_for(), ("a",))
    assert code(replies["a"]) == ours
    assert "Jane" not in replies["a"].header.model_dump_json()


def test_exception_in_a_site_is_its_failure_alone(
    request_for: Callable[..., Request], echo: Callable[[Request], Reply]
) -> None:
    def broken(_: Request) -> Reply:
        raise RuntimeError("patient Jane Doe")

    replies = ask(LocalGrid({"a": site_of(broken), "b": site_of(echo)}), request_for())
    assert code(replies["a"]) == "FPE-402"
    assert code(replies["b"]) is None


def reply_with(record: RecordDict) -> Site:
    return lambda message: Message(record, reply_to=message)


@pytest.mark.parametrize(
    "record",
    [
        RecordDict(),
        RecordDict({"header": ConfigRecord({"json": "{"})}),
        RecordDict({"header": ConfigRecord({"json": 3})}),
        RecordDict({"header": ConfigRecord({"json": "{}"}), "extra": ConfigRecord()}),
        RecordDict(
            {"header": ConfigRecord({"json": "{}"}), "state": ArrayRecord({"flat": Array(np.zeros((2, 2), "f4"))})}
        ),
        RecordDict({"header": ConfigRecord({"json": "{}"}), "state": ArrayRecord({"flat": Array(np.zeros(2))})}),
        RecordDict({"header": ConfigRecord({"json": "{}"}), "state": ArrayRecord({"other": Array(np.zeros(2, "f4"))})}),
    ],
)
def test_unreadable_reply_is_a_named_failure(request_for: Callable[..., Request], record: RecordDict) -> None:
    replies = ask(LocalGrid({"a": reply_with(record)}), request_for(), ("a",))
    assert code(replies["a"]) == "FPE-303"


def test_reply_of_another_version_is_named(request_for: Callable[..., Request]) -> None:
    record = RecordDict({"header": ConfigRecord({"json": '{"protocol_version": 99}'})})
    assert code(ask(LocalGrid({"a": reply_with(record)}), request_for(), ("a",))["a"]) == "FPE-505"


@pytest.mark.parametrize("change", [{"round_number": 2}, {"kind": Kind.ALONE}, {"study_fingerprint": "0" * 64}])
def test_reply_about_something_else_is_refused(
    request_for: Callable[..., Request], echo: Callable[[Request], Reply], change: dict[str, object]
) -> None:
    def wrong(request: Request) -> Reply:
        reply = echo(request)
        return Reply(reply.header.model_copy(update=change), reply.state)

    replies = ask(LocalGrid({"a": site_of(wrong), "b": site_of(echo)}), request_for())
    assert code(replies["a"]) == "FPE-303"
    assert replies["a"].state is None
    assert code(replies["b"]) is None


def test_second_reply_is_ignored(request_for: Callable[..., Request], echo: Callable[[Request], Reply]) -> None:
    class TwiceGrid(LocalGrid):
        def pull_messages(self, message_ids: object) -> list[Message]:
            return [copy for reply in super().pull_messages(message_ids) for copy in (reply, reply)]  # type: ignore[arg-type]

    seen: list[str] = []
    GridExchange(TwiceGrid({"a": site_of(echo)})).ask(
        {"a": request_for()}, quorum=1, deadline_s=5, grace_s=0, on_reply=lambda site, _: seen.append(site)
    )
    assert seen == ["a"]


def test_message_expires_with_the_deadline(
    request_for: Callable[..., Request], echo: Callable[[Request], Reply]
) -> None:
    lives: list[float] = []

    def remembers(message: Message) -> Message:
        lives.append(message.metadata.ttl)
        return site_of(echo)(message)

    ask(LocalGrid({"a": remembers}), request_for(), ("a",), deadline_s=12)
    assert lives[0] == pytest.approx(12, abs=1)
