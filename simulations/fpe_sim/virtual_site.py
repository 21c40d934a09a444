"""A hospital inside a simulation: the deployment's own handlers and egress gate, called in process."""

from functools import lru_cache
from pathlib import Path

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from fpe_client.egress import screen
from fpe_client.handlers import handle
from fpe_client.records import record_from_reply, request_from_record
from fpe_client.session import SiteSession
from fpe_core.config import load_site
from fpe_core.errors import EgressRefused
from fpe_core.protocol import Reply, Request
from fpe_core.training.predict import no_progress

WHO = "query.who"
"""Message type of the question which virtual site a node stands for; a deployment knows it from the node's key."""


@lru_cache(maxsize=32)
def session_of(site_file: Path) -> SiteSession:
    """The site's session, kept for as long as this worker process lives."""
    return SiteSession(load_site(site_file))


def answer(request: Request, session: SiteSession) -> Reply:
    """What leaves the site: the handlers' reply after the egress gate."""
    received = request.state.layout if request.state else None
    try:
        return screen(handle(request, session, no_progress), request.header, session.config.policy, received)
    except EgressRefused as error:
        return Reply.failed(request.header, error)


def make_client_app(site_files: tuple[Path, ...]) -> ClientApp:
    """A ClientApp for all virtual sites; the node's partition says which one it is."""
    app = ClientApp()

    def relay(message: Message, context: Context) -> Message:
        session = session_of(site_files[_partition(context)])
        reply = answer(request_from_record(message.content), session)
        return Message(record_from_reply(reply), reply_to=message)

    @app.query("who")
    def who(message: Message, context: Context) -> Message:
        return Message(RecordDict({"site": ConfigRecord({"number": _partition(context)})}), reply_to=message)

    app.train()(relay)
    app.evaluate()(relay)
    app.query()(relay)
    app.train("alone")(relay)
    return app


def _partition(context: Context) -> int:
    return int(context.node_config["partition-id"])
