"""Flower's form of the contract's messages."""

from collections.abc import Callable

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from fpe_client.records import MESSAGE_TYPES, plain_header, record_from_reply, request_from_record
from fpe_core.errors import ProtocolVersionWrong, StateMismatch, StateUnreadable
from fpe_core.protocol import Kind, Reply, Request

MakeRequest = Callable[..., Request]
MakeReply = Callable[..., Reply]


def record_of(request: Request, **changes: object) -> RecordDict:
    header = request.header.model_copy(update=changes) if changes else request.header
    record = RecordDict({"header": ConfigRecord({"json": header.model_dump_json()})})
    if request.values is not None:
        record["state"] = ArrayRecord({"flat": Array(request.values)})
    return record


def test_every_kind_has_a_message_type_of_its_own() -> None:
    assert set(MESSAGE_TYPES) == set(Kind)
    assert len(set(MESSAGE_TYPES.values())) == len(Kind)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_request_arrives_as_it_was_sent(kind: Kind, make_request: MakeRequest) -> None:
    request = make_request(kind)
    read = request_from_record(record_of(request))
    assert read.header == request.header
    assert (read.values is None) == (kind is Kind.DESCRIBE)
    if read.values is not None and request.values is not None:
        assert np.array_equal(read.values, request.values)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_reply_holds_a_header_and_at_most_one_array(
    kind: Kind, make_request: MakeRequest, make_reply: MakeReply
) -> None:
    reply = make_reply(make_request(kind))
    record = record_from_reply(reply)
    assert set(record) == ({"header", "state"} if kind is Kind.TRAIN else {"header"})
    assert Reply.from_parts(str(record.config_records["header"]["json"]), reply.values).header == reply.header
    if reply.values is not None:
        assert np.array_equal(record.array_records["state"]["flat"].numpy(), reply.values)


def test_another_protocol_version_is_named(make_request: MakeRequest) -> None:
    with pytest.raises(ProtocolVersionWrong, match="got 2"):
        request_from_record(record_of(make_request(), protocol_version=2))


def broken_records(request: Request) -> list[RecordDict]:
    whole = record_of(request)
    double = RecordDict({"header": whole["header"], "state": ArrayRecord({"flat": Array(np.ones(8))})})
    two = RecordDict(
        {"header": whole["header"], "state": ArrayRecord({"a": Array(np.ones(8)), "b": Array(np.ones(8))})}
    )
    text = RecordDict({"header": ConfigRecord({"json": "no JSON"}), "state": whole["state"]})
    number = RecordDict({"header": ConfigRecord({"json": 7}), "state": whole["state"]})
    extra = RecordDict({**whole, "more": ConfigRecord({})})
    pickled = Array("float32", (8,), "numpy.ndarray", b"\x80\x04not an array")
    return [
        RecordDict(),
        RecordDict({"header": whole["header"]}),
        double,
        two,
        text,
        number,
        extra,
        RecordDict({"header": whole["header"], "state": ArrayRecord({"flat": pickled})}),
    ]


@pytest.mark.parametrize("which", range(8))
def test_a_record_of_another_form_is_unreadable(which: int, make_request: MakeRequest) -> None:
    with pytest.raises(StateUnreadable):
        request_from_record(broken_records(make_request())[which])


def test_an_array_of_another_length_does_not_fit(make_request: MakeRequest) -> None:
    record = record_of(make_request())
    record["state"] = ArrayRecord({"flat": Array(np.ones(7, dtype=np.float32))})
    with pytest.raises(StateMismatch):
        request_from_record(record)


def test_the_plain_header_of_a_broken_message_is_still_readable(make_request: MakeRequest) -> None:
    assert plain_header(record_of(make_request(), protocol_version=2))["round_number"] == 3
    assert plain_header(RecordDict()) == {}
    assert plain_header(RecordDict({"header": ConfigRecord({"json": "[1]"})})) == {}
