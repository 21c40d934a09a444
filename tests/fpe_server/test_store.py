"""The run folder: what people and programs find in it while a study runs."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from fpe_core.errors import QuorumLost, UpdateNonFinite
from fpe_core.protocol import Reply, Request
from fpe_core.state import FlatState, Layout, TensorEntry
from fpe_server.store import RunFolder
from fpe_server.study_state import read_state

RequestFor = Callable[..., Request]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def events(folder: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder.path / "events.jsonl").read_text().splitlines()]


def state(folder: RunFolder) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder.path / "state.json").read_text())
    # The server reads the very file that the ServerApp writes.
    assert read_state(folder.path).status == found["status"]
    return found


def test_state_says_how_the_study_stands(folder: RunFolder) -> None:
    folder.tell("round 2", status="running", round=1, rounds=5, sites={"north": "working"})
    assert state(folder) == {
        "status": "running",
        "round": 1,
        "rounds": 5,
        "sites": {"north": "working"},
        "message": "round 2",
        "code": None,
    }
    folder.tell("round 3", round=2)
    assert (state(folder)["round"], state(folder)["status"], state(folder)["sites"]) == (
        2,
        "running",
        {"north": "working"},
    )


def test_answers_are_noted_with_their_reason(
    folder: RunFolder, request_for: RequestFor, echo: Callable[[Request], Reply]
) -> None:
    request = request_for(4)
    folder.tell("round 4", sites={"north": "working", "south": "working", "east": "working"})
    folder.site_answered("north", echo(request))
    folder.site_answered("south", Reply.failed(request.header, QuorumLost("Mustermann")))
    folder.refused("east", UpdateNonFinite("east: NaN in w"))
    assert state(folder)["sites"] == {"north": "answered", "south": "failed:FPE-601", "east": "failed:FPE-501"}
    first, *replies, refused = events(folder)
    assert first["message"] == "round 4"
    assert [(e["event"], e["site"], e["kind"], e["round"], e["code"]) for e in replies] == [
        ("reply", "north", "train", 4, None),
        ("reply", "south", "train", 4, "FPE-601"),
    ]
    assert (refused["event"], refused["site"], refused["code"]) == ("refused", "east", "FPE-501")
    assert refused["reason"] == "east: NaN in w"
    times = [event["time"] for event in events(folder)]
    assert times == sorted(times)
    assert "Mustermann" not in (folder.path / "events.jsonl").read_text()


def test_a_failed_study_says_its_code(folder: RunFolder) -> None:
    folder.tell("round 1", status="running", round=0, rounds=2)
    folder.fail(QuorumLost("1 site answered"))
    found = state(folder)
    assert (found["status"], found["code"], found["message"]) == ("failed", "FPE-601", "1 site answered")
    assert events(folder)[-1]["code"] == "FPE-601"


def test_events_of_a_second_try_stand_behind_the_first(folder: RunFolder) -> None:
    folder.tell("one")
    RunFolder(folder.path).tell("two")
    assert [event["message"] for event in events(folder)] == ["one", "two"]


def test_the_model_is_written_under_its_tensors_names(folder: RunFolder) -> None:
    layout = Layout((TensorEntry("w", (2, 3), "float32", "b"), TensorEntry("n", (), "int64", "norm")))
    flat = FlatState(layout, np.array([0.5, 1, 2, 3, 4, 5, 41], dtype=np.float32))
    digest = folder.save_model(flat, {"study": "trial", "recipe": "mr"})
    path = folder.path / "model.safetensors"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    with safe_open(path, framework="np") as file:
        assert json.loads(file.metadata()["study"]) == {"study": "trial", "recipe": "mr"}
        np.testing.assert_array_equal(file.get_tensor("w"), [[0.5, 1, 2], [3, 4, 5]])
        assert (file.get_tensor("n").dtype, int(file.get_tensor("n"))) == (np.int64, 41)


def test_the_same_model_is_the_same_file(folder: RunFolder) -> None:
    flat = FlatState(Layout((TensorEntry("w", (2,), "float32", "b"),)), np.ones(2, dtype=np.float32))
    metadata = {name: name for name in ("study", "study_fingerprint", "model", "recipe", "rounds")}
    assert (
        len({folder.save_model(flat, dict(order)) for order in (metadata.items(), [*metadata.items()][::-1]) * 5}) == 1
    )


def test_integer_tensors_are_rounded_as_in_the_model(folder: RunFolder) -> None:
    layout = Layout((TensorEntry("n", (2,), "int64", "norm"),))
    folder.save_model(FlatState(layout, np.array([6.6, 7.4], dtype=np.float32)), {})
    with safe_open(folder.path / "model.safetensors", framework="np") as file:
        assert file.get_tensor("n").tolist() == [7, 7]


def test_checkpoints_are_for_the_coordinator_only(folder: RunFolder) -> None:
    assert (folder.path / "checkpoints").stat().st_mode & 0o777 == 0o700
    assert folder.load_checkpoint("a" * 64) is None
