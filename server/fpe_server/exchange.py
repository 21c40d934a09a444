"""One question to many sites, and their answers: deadlines, quorum, lost sites, and messages sent again.

Flower delivers a message once. A site that restarts loses what it was working on, and nobody is told; so a message
goes out again when its site was lost, or was connected anew after the message had been sent.
"""

import datetime
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from flwr.app import Error, Message, RecordDict
from flwr.serverapp import Grid

from fpe_core.errors import (
    BundleRefused,
    FpeError,
    ModelError,
    SiteLost,
    SiteOverdue,
    StateUnreadable,
    TrainingFailed,
    UpdateRefused,
)
from fpe_core.protocol import Reply, ReplyHeader, Request, RequestHeader
from fpe_server.records import MESSAGE_TYPES, reply_from_record, request_to_record

OnReply = Callable[[str, Reply], None]
SiteNames = Mapping[int, str] | Callable[[], Mapping[int, str]]

POLL_S = 0.15
NODES_POLL_S = 1.0
MAX_TRIES = 5
"""How often one question is sent to one site before the site counts as lost."""

_TRANSPORT_LOSSES = frozenset({3, 4, 5})
"""Flower's error codes for a message, a reply or a node that went missing on the way."""
_INVALID_BUNDLE = 7


class Exchange(Protocol):
    """The study's only way to the sites."""

    def online_sites(self) -> tuple[str, ...]:
        """Names of the sites that are admitted and connected, sorted."""
        ...

    def ask(
        self,
        requests: Mapping[str, Request],
        *,
        quorum: int,
        deadline_s: float,
        grace_s: float,
        on_reply: OnReply | None = None,
    ) -> dict[str, Reply]:
        """Send each site its request and return one reply for each.

        Waits until all have answered, or `grace_s` seconds longer than it takes until `quorum` sites have answered
        without a failure, or `deadline_s` seconds. A site that has not answered by then gets a reply that says so.

        Args:
            requests: site name to request.
            quorum: number of successful answers after which the others get `grace_s` seconds.
            deadline_s: longest wait, in seconds.
            grace_s: wait after the quorum, in seconds.
            on_reply: called with site and reply as each becomes final.
        """
        ...


@dataclass
class _Node:
    node_id: int
    activated_at: float
    """Unix time of the last connection, in seconds."""


@dataclass
class _Errand:
    """One site's question, and how often it is under way."""

    site: str
    request: Request
    record: RecordDict
    tries: int = 0
    sent_at: float = 0.0
    """Unix time of the last sending, in seconds."""
    message_ids: list[str] = field(default_factory=list)
    waiting_to_send: bool = True


class GridExchange:
    """`Exchange` over Flower's `Grid`, in a deployment, a simulation or a test.

    Args:
        grid: Flower's way to the nodes.
        site_names: node id to site name, or a function that returns it; by default the names under which the nodes
            were admitted.
    """

    def __init__(self, grid: Grid, *, site_names: SiteNames | None = None) -> None:
        self._grid = grid
        self._site_names = site_names

    def online_sites(self) -> tuple[str, ...]:
        return tuple(sorted(self._nodes()))

    def ask(
        self,
        requests: Mapping[str, Request],
        *,
        quorum: int,
        deadline_s: float,
        grace_s: float,
        on_reply: OnReply | None = None,
    ) -> dict[str, Reply]:
        return _Round(self, requests, quorum, deadline_s, grace_s, on_reply).run()

    def _nodes(self) -> dict[str, _Node]:
        names = self._site_names() if callable(self._site_names) else self._site_names
        found = {}
        for node in self._grid.get_nodes():
            name = node.name if names is None else names.get(node.node_id)
            if name:
                found[name] = _Node(node.node_id, _unix_time(node.last_activated_at))
        return found

    def _push(self, messages: list[Message]) -> set[str]:
        return {message_id for message_id in self._grid.push_messages(messages) if message_id}

    def _pull(self, message_ids: Collection[str]) -> list[Message]:
        return list(self._grid.pull_messages(message_ids))


class _Round:
    """The state of one `ask`."""

    def __init__(
        self,
        exchange: GridExchange,
        requests: Mapping[str, Request],
        quorum: int,
        deadline_s: float,
        grace_s: float,
        on_reply: OnReply | None,
    ) -> None:
        self._exchange = exchange
        self._quorum = quorum
        self._grace_s = grace_s
        self._on_reply = on_reply
        self._end = time.monotonic() + deadline_s
        self._nodes: dict[str, _Node] = {}
        self._nodes_known_until = 0.0
        # Sites that are asked the same thing share the array: it is encoded once.
        records = {id(request): request_to_record(request) for request in requests.values()}
        self._open = {site: _Errand(site, request, records[id(request)]) for site, request in requests.items()}
        self._replies: dict[str, Reply] = {}

    def run(self) -> dict[str, Reply]:
        while self._open and time.monotonic() < self._end:
            self._look_at_nodes()
            self._send()
            self._receive()
            if self._open:
                time.sleep(max(0.0, min(POLL_S, self._end - time.monotonic())))
        self._give_up()
        return self._replies

    def _look_at_nodes(self) -> None:
        if time.monotonic() < self._nodes_known_until:
            return
        self._nodes = self._exchange._nodes()
        self._nodes_known_until = time.monotonic() + NODES_POLL_S
        for errand in self._open.values():
            node = self._nodes.get(errand.site)
            if node is not None and errand.message_ids and node.activated_at > errand.sent_at:
                self._send_again(errand)

    def _send_again(self, errand: _Errand) -> None:
        """Mark for sending, unless it was sent too often: a site whose gate dies of a message should not loop."""
        errand.waiting_to_send = errand.tries < MAX_TRIES

    def _send(self) -> None:
        ready = [e for e in self._open.values() if e.waiting_to_send and e.site in self._nodes]
        if not ready:
            return
        messages = [self._message(errand) for errand in ready]
        accepted = self._exchange._push(messages)
        now = time.time()
        for errand, message in zip(ready, messages, strict=True):
            message_id = message.metadata.message_id
            if message_id in accepted:
                errand.message_ids.append(message_id)
                errand.tries += 1
                errand.sent_at = now
                errand.waiting_to_send = False

    def _message(self, errand: _Errand) -> Message:
        header = errand.request.header
        return Message(
            errand.record,
            dst_node_id=self._nodes[errand.site].node_id,
            message_type=MESSAGE_TYPES[header.kind],
            # A site that comes back after the deadline should not be handed a question that nobody waits for.
            ttl=max(1.0, self._end - time.monotonic()),
            group_id=str(header.round_number),
        )

    def _receive(self) -> None:
        errands = {message_id: errand for errand in self._open.values() for message_id in errand.message_ids}
        if not errands:
            return
        for message in self._exchange._pull(errands):
            message_id = message.metadata.reply_to_message_id
            errand = errands.get(message_id)
            if errand is None or errand.site in self._replies:
                continue
            errand.message_ids.remove(message_id)
            if message.has_error():
                self._settle_error(errand, message.error)
            else:
                self._settle(errand.site, _checked_reply(errand.request.header, message.content))

    def _settle_error(self, errand: _Errand, error: Error) -> None:
        if error.code in _TRANSPORT_LOSSES and errand.tries < MAX_TRIES:
            # An older copy of the message may have failed while a newer one is under way.
            errand.waiting_to_send = not errand.message_ids
            return
        if not errand.message_ids:
            self._settle(errand.site, Reply.failed(errand.request.header, _our_error(error)))

    def _settle(self, site: str, reply: Reply) -> None:
        self._replies[site] = reply
        self._open.pop(site, None)
        good = sum(1 for answer in self._replies.values() if answer.header.failure is None)
        if reply.header.failure is None and good == self._quorum:
            self._end = min(self._end, time.monotonic() + self._grace_s)
        if self._on_reply is not None:
            self._on_reply(site, reply)

    def _give_up(self) -> None:
        self._nodes_known_until = 0.0
        if self._open:
            self._nodes = self._exchange._nodes()
        for errand in list(self._open.values()):
            connected = errand.site in self._nodes
            error: FpeError = SiteOverdue() if connected and errand.tries else SiteLost()
            self._settle(errand.site, Reply.failed(errand.request.header, error))


def _checked_reply(request: RequestHeader, record: RecordDict) -> Reply:
    """The reply in `record`, or a failure that names why it cannot be used."""
    try:
        reply = reply_from_record(record)
        _refuse_foreign(request, reply.header)
    except (ModelError, UpdateRefused) as error:
        return Reply.failed(request, error)
    return reply


def _refuse_foreign(request: RequestHeader, reply: ReplyHeader) -> None:
    expected = (request.kind, request.plan.fingerprint(), request.round_number)
    if (reply.kind, reply.study_fingerprint, reply.round_number) != expected:
        raise StateUnreadable("a reply should be about the kind, the study and the round that were asked for")


def _our_error(error: Error) -> FpeError:
    """Flower's error code in our words; its text, which may quote the site's data, is dropped."""
    if error.code in _TRANSPORT_LOSSES:
        return SiteLost()
    return BundleRefused() if error.code == _INVALID_BUNDLE else TrainingFailed()


def _unix_time(iso: str) -> float:
    return datetime.datetime.fromisoformat(iso).timestamp() if iso else 0.0
