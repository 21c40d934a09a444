"""The audit trail: what left the hospital, when, and why. Append-only, one JSON line per message."""

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from fpe_core.protocol import Reply


def record(path: Path, reply: Reply, verdict: str) -> None:
    """Append one line and force it to disk before the reply leaves.

    Args:
        path: the trail.
        reply: exactly what leaves.
        verdict: `passed`, or the code of the failure that leaves instead.
    """
    header = reply.header.model_dump_json().encode()
    digest = hashlib.sha256(header)
    size = len(header)
    if reply.values is not None:
        array = reply.values.astype("<f4", copy=False)
        digest.update(array.data)
        size += array.nbytes
    line = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "kind": reply.header.kind,
        "round": reply.header.round_number,
        "study": reply.header.study_fingerprint,
        "bytes": size,
        "sha256": digest.hexdigest(),
        "verdict": verdict,
    }
    _append(path, json.dumps(line) + "\n")


def _append(path: Path, line: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, line.encode())
        os.fsync(handle)
    finally:
        os.close(handle)
