"""A `Grid` without network and processes: each site is a function from message to reply.

Messages take the same form as on the wire, so that what runs here runs in a deployment.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from flwr.app import Error, Message, RecordDict
from flwr.serverapp import Grid

from fpe_core.protocol import Reply, Request
from fpe_server.flower import NodeInfo, Run, assume_task_identity
from fpe_server.records import reply_to_record, request_from_record

Site = Callable[[Message], Message]

CLIENT_APP_RAISED = 2
"""Flower's error code for an exception in a ClientApp."""


def site_of(handler: Callable[[Request], Reply]) -> Site:
    """The site that answers each request as `handler` does."""

    def answer(message: Message) -> Message:
        return Message(reply_to_record(handler(request_from_record(message.content))), reply_to=message)

    return answer


class LocalGrid(Grid):
    """Sites in this process, which answer while the message is pushed.

    Args:
        sites: site name to site.
    """

    def __init__(self, sites: Mapping[str, Site]) -> None:
        assume_task_identity()
        self._sites = dict(enumerate(sites.values(), start=2))
        self._replies: dict[str, Message] = {}
        now = datetime.now(UTC).isoformat()
        self.nodes = {
            node_id: NodeInfo(node_id=node_id, name=name, status="online", last_activated_at=now)
            for node_id, name in enumerate(sites, start=2)
        }

    def set_run(self, run: Run) -> None:
        raise NotImplementedError("a local grid has no run")

    @property
    def run(self) -> Run:
        raise NotImplementedError("a local grid has no run")

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        return list(self.nodes)

    def get_nodes(self) -> Iterable[NodeInfo]:
        return list(self.nodes.values())

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        return [self._deliver(message) for message in messages]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return [self._replies.pop(message_id) for message_id in list(message_ids) if message_id in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        end = time.monotonic() + (timeout or 0.0)
        waiting, replies = set(self.push_messages(messages)), []
        while True:
            for reply in self.pull_messages(waiting):
                waiting.discard(reply.metadata.reply_to_message_id)
                replies.append(reply)
            if not waiting or (timeout is not None and time.monotonic() >= end):
                return replies
            time.sleep(0.01)

    def _deliver(self, message: Message) -> str:
        message_id = uuid.uuid4().hex
        message.metadata.__dict__["_message_id"] = message_id
        try:
            reply = self._sites[message.metadata.dst_node_id](message)
        except Exception as error:  # noqa: BLE001 - Flower answers in a ClientApp's place, whatever it raised
            reply = Message(Error(CLIENT_APP_RAISED, repr(error)), reply_to=message)
        self._replies[message_id] = reply
        return message_id
