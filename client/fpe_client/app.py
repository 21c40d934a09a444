"""The gate: Flower's ClientApp. It imports no torch, trains nothing, and lets out only what the egress rules allow.

Flower starts a fresh process of it for every message, and sends the text of any exception that leaves it to the server.
So none leaves it.
"""

import logging
import os
from pathlib import Path

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from fpe_client import audit
from fpe_client.egress import screen
from fpe_client.environment import SITE_FILE_VARIABLE
from fpe_client.parent import die_with_parent
from fpe_client.paths import SitePaths
from fpe_client.records import MESSAGE_TYPES, plain_header, record_from_reply, request_from_record
from fpe_client.trainer_link import ask_trainer
from fpe_client.work_state import WorkFile
from fpe_core.config.loader import load_site
from fpe_core.config.site import SiteConfig
from fpe_core.errors import FpeError, StudyRefused
from fpe_core.protocol import Failure, Kind, Reply, ReplyHeader, Request

log = logging.getLogger(__name__)

app = ClientApp()


def relay(message: Message, _context: Context) -> Message:
    """Hand a message to the trainer and its screened reply to Flower."""
    try:
        die_with_parent()
        return Message(_answer(message), reply_to=message)
    except Exception as error:  # Flower would send the text of anything that is raised here
        log.exception("the gate failed")
        return Message(record_from_reply(_orphan(message, _safe(error))), reply_to=message)


for register in (app.train(), app.train("alone"), app.evaluate(), app.query()):
    register(relay)


def _answer(message: Message) -> RecordDict:
    config = load_site(Path(os.environ[SITE_FILE_VARIABLE]))
    paths = SitePaths(config.state_dir)
    try:
        request = request_from_record(message.content)
    except FpeError as error:
        reply = _orphan(message, error)
    else:
        work = WorkFile(paths.work, request.header)
        reply = _screened(request, config, paths, work)
        work.done(_verdict(reply))
    audit.record(paths.audit, reply, _verdict(reply))
    return record_from_reply(reply)


def _screened(request: Request, config: SiteConfig, paths: SitePaths, work: WorkFile) -> Reply:
    header = request.header
    try:
        if header.plan.task not in config.policy.tasks:
            raise StudyRefused(f"policy.tasks does not hold {header.plan.task}")
        reply = ask_trainer(
            paths.root,
            request,
            overdue_after_s=config.trainer.overdue_after_s,
            on_step=work.step,
        )
        return screen(reply, header, config.policy, request.state.layout if request.state else None)
    except FpeError as error:
        log.error("[%s] %s %s", error.code, error, error.hint)
        return Reply.failed(header, error)
    except Exception:  # whatever broke, the server gets a code
        log.exception("relaying failed")
        return Reply.failed(header, FpeError())


def _verdict(reply: Reply) -> str:
    return reply.header.failure.code if reply.header.failure else "passed"


def _safe(error: Exception) -> FpeError:
    return error if isinstance(error, FpeError) else FpeError()


def _orphan(message: Message, error: FpeError) -> Reply:
    """The failure that answers a message whose request could not be read."""
    log.error("[%s] %s %s", error.code, error, error.hint)
    kinds = {message_type: kind for kind, message_type in MESSAGE_TYPES.items()}
    round_number = plain_header(message.content).get("round_number") if message.has_content() else 0
    return Reply(
        ReplyHeader(
            kind=kinds.get(message.metadata.message_type, Kind.DESCRIBE),
            study_fingerprint="0" * 64,
            round_number=round_number if isinstance(round_number, int) and round_number >= 0 else 0,
            failure=Failure.of(error),
        )
    )
