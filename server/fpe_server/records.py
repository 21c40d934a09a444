"""Requests and replies as Flower's RecordDict: the header as JSON text, the weights as one flat array."""

from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from fpe_core.errors import StateUnreadable
from fpe_core.protocol import Kind, Reply, Request
from fpe_core.state import FloatArray

MESSAGE_TYPES = {Kind.TRAIN: "train", Kind.EVALUATE: "evaluate", Kind.DESCRIBE: "query", Kind.ALONE: "train.alone"}
"""Flower's message type for each kind of request."""


def request_to_record(request: Request) -> RecordDict:
    """A request for the wire: "header" holds the JSON, "state" the `(size,)` float32 array if there is one."""
    return _record(request.header.model_dump_json(), request.values)


def reply_to_record(reply: Reply) -> RecordDict:
    """A reply for the wire, in the same form."""
    return _record(reply.header.model_dump_json(), reply.values)


def request_from_record(record: RecordDict) -> Request:
    """Read what `request_to_record` wrote. Raises as `Request.from_parts` does."""
    return Request.from_parts(_header(record), _values(record))


def reply_from_record(record: RecordDict) -> Reply:
    """Read what `reply_to_record` wrote. Raises as `Reply.from_parts` does."""
    return Reply.from_parts(_header(record), _values(record))


def _record(header: str, values: FloatArray | None) -> RecordDict:
    record = RecordDict({"header": ConfigRecord({"json": header})})
    if values is not None:
        record["state"] = ArrayRecord({"flat": Array(values)})
    return record


def _header(record: RecordDict) -> str:
    entry = record.get("header")
    text = entry.get("json") if isinstance(entry, ConfigRecord) else None
    if not isinstance(text, str):
        raise StateUnreadable("a message should carry its header as JSON text")
    return text


def _values(record: RecordDict) -> FloatArray | None:
    if set(record) - {"header", "state"}:
        raise StateUnreadable("a message should carry a header and a state, and nothing else")
    entry = record.get("state")
    if entry is None:
        return None
    if not isinstance(entry, ArrayRecord) or set(entry) != {"flat"}:
        raise StateUnreadable("a message's state should be one flat array")
    try:
        values = entry["flat"].numpy()
    except (ValueError, TypeError, EOFError) as error:
        raise StateUnreadable(f"a message's array cannot be read ({type(error).__name__})") from None
    if values.ndim != 1 or values.dtype != "float32":
        raise StateUnreadable(f"a message's array should be flat float32, got {values.dtype} of shape {values.shape}")
    return values
