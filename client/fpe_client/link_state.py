"""What the SuperNode tells the supervisor about its connection, through one small file."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from fpe_client.work_state import write_json
from fpe_core.errors import FpeError


@dataclass(frozen=True)
class Link:
    """The last thing that happened to the connection.

    Attributes:
        pid: the SuperNode's process.
        node_id: id of the last session, or None before the first.
        connected_at: seconds since the epoch; None while there is no session.
        refusal_code, refusal, hint: why there is none; empty when nothing was refused.
    """

    pid: int
    node_id: int | None = None
    connected_at: float | None = None
    refusal_code: str = ""
    refusal: str = ""
    hint: str = ""


def read_link(path: Path) -> Link | None:
    """The file's content, or None when there is none yet or it is of another version."""
    try:
        return Link(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def note_connected(path: Path, *, pid: int, node_id: int) -> None:
    """The server has activated this node."""
    write_json(path, asdict(Link(pid, node_id, time.time())))


def note_refused(path: Path, *, pid: int, error: FpeError) -> None:
    """There is no connection, because of `error`. The id of the last session stays known."""
    last = read_link(path)
    node_id = last.node_id if last else None
    write_json(path, asdict(Link(pid, node_id, None, error.code, str(error), error.hint)))
