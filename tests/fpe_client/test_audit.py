"""The audit trail says what left, exactly."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from fpe_client import audit
from fpe_core.errors import EgressRefused
from fpe_core.protocol import Kind, Reply, Request


def test_one_line_for_each_message(
    tmp_path: Path, make_request: Callable[..., Request], make_reply: Callable[..., Reply]
) -> None:
    trail = tmp_path / "audit.jsonl"
    train, query = make_request(Kind.TRAIN), make_request(Kind.DESCRIBE)
    sent = make_reply(train)
    audit.record(trail, sent, "passed")
    audit.record(trail, Reply.failed(query.header, EgressRefused("a name")), EgressRefused.code)
    first, second = [json.loads(line) for line in trail.read_text().splitlines()]
    assert sent.values is not None
    left = sent.header.model_dump_json().encode() + sent.values.astype("<f4").tobytes()
    assert first["sha256"] == hashlib.sha256(left).hexdigest()
    assert first["bytes"] == len(left)
    assert (first["kind"], first["round"], first["study"]) == ("train", 3, train.header.plan.fingerprint())
    assert (first["verdict"], second["verdict"]) == ("passed", "FPE-510")
    assert "a name" not in trail.read_text()


def test_only_its_owner_reads_it(
    tmp_path: Path, make_request: Callable[..., Request], make_reply: Callable[..., Reply]
) -> None:
    audit.record(tmp_path / "audit.jsonl", make_reply(make_request()), "passed")
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o777 == 0o600
