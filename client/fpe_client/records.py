"""The contract's messages in Flower's form: a header as one config value, a state as one array."""

import json

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from fpe_core.errors import StateUnreadable
from fpe_core.protocol import Kind, Reply, Request
from fpe_core.state import FloatArray

MESSAGE_TYPES = {
    Kind.TRAIN: "train",
    Kind.EVALUATE: "evaluate",
    Kind.DESCRIBE: "query",
    Kind.ALONE: "train.alone",
}


def request_from_record(record: RecordDict) -> Request:
    """Read what the server sent.

    Raises:
        ProtocolVersionWrong: the server speaks another version.
        StateUnreadable: a record is missing, is one too many, or does not hold what this version defines.
    """
    return Request.from_parts(header_json(record), _values(record))


def record_from_reply(reply: Reply) -> RecordDict:
    """The form in which a screened reply leaves."""
    record = RecordDict({"header": ConfigRecord({"json": reply.header.model_dump_json()})})
    if reply.values is not None:
        record["state"] = ArrayRecord({"flat": Array(reply.values)})
    return record


def header_json(record: RecordDict) -> str:
    """The header's JSON text. Raises StateUnreadable when there is none."""
    if not set(record) <= {"header", "state"}:
        raise StateUnreadable("a message should hold a header and at most a state")
    header = record.config_records.get("header")
    text = header.get("json") if header is not None and set(header) == {"json"} else None
    if not isinstance(text, str):
        raise StateUnreadable("a message should hold its header as one JSON text")
    return text


def plain_header(record: RecordDict) -> dict[str, object]:
    """The header as plain JSON, however wrong: for naming what a broken message was about."""
    try:
        value = json.loads(header_json(record))
    except (StateUnreadable, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _values(record: RecordDict) -> FloatArray | None:
    state = record.array_records.get("state")
    if state is None:
        return None
    if set(state) != {"flat"}:
        raise StateUnreadable("a state should be one flat array")
    try:
        values = state["flat"].numpy()
    except (ValueError, TypeError, EOFError):
        raise StateUnreadable("a state's array cannot be read") from None
    if values.dtype != np.float32 or values.ndim != 1:
        raise StateUnreadable(f"a state should be one-dimensional float32, got {values.dtype} of {values.ndim} axes")
    return values
