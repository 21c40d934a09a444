"""The gate in a process of its own, as Flower starts it, before a real trainer's server."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from fpe_client.environment import SITE_FILE_VARIABLE
from fpe_client.records import MESSAGE_TYPES
from fpe_core.config.study import StudyPlan
from fpe_core.errors import FpeError
from fpe_core.protocol import Kind, ReplyHeader, Request

pytestmark = pytest.mark.integration
MakeRequest = Callable[..., Request]
HERE = Path(__file__).parent


class Gate:
    """Sends records through the gate of one site."""

    def __init__(self, site_file: Path) -> None:
        self.site_file = site_file
        self.state_dir = site_file.parent / "state"
        self.state_dir.mkdir()

    def send(self, record: RecordDict, kind: Kind = Kind.TRAIN) -> dict[str, Any]:
        record_file = self.site_file.parent / "record"
        record_file.write_bytes(pickle.dumps(record))
        done = subprocess.run(
            [sys.executable, HERE / "run_gate.py", record_file, MESSAGE_TYPES[kind]],
            env={SITE_FILE_VARIABLE: str(self.site_file), "PATH": ""},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result

    def failure(self, record: RecordDict, kind: Kind = Kind.TRAIN) -> tuple[str, str]:
        out = self.send(record, kind)
        header = ReplyHeader.model_validate(out["header"])
        assert header.failure is not None
        assert out["records"] == ["header"]
        return header.failure.code, header.failure.sentence

    def audit(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.state_dir / "audit.jsonl").read_text().splitlines()]


@pytest.fixture
def gate(site_file: Path) -> Gate:
    return Gate(site_file)


@pytest.fixture
def trainer(gate: Gate) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, HERE / "small_trainer.py", gate.site_file])
    yield
    process.kill()
    process.wait()


def record_of(request: Request, **changes: object) -> RecordDict:
    header = request.header.model_copy(update=changes)
    record = RecordDict({"header": ConfigRecord({"json": header.model_dump_json()})})
    if request.values is not None:
        record["state"] = ArrayRecord({"flat": Array(request.values)})
    return record


def study(name: str, **changes: Any) -> StudyPlan:
    return StudyPlan(**{"name": name, "task": "fpe", "seed": 1, **changes})


@pytest.mark.usefixtures("trainer")
def test_a_round_goes_through_without_torch(gate: Gate, make_request: MakeRequest) -> None:
    request = make_request(plan=study("slow"))
    out = gate.send(record_of(request))
    assert out["heavy"] == []
    assert out["values"] == [0.5] * 8
    assert out["header"]["training"]["num_cases"] == 60
    assert [line["verdict"] for line in gate.audit()] == ["passed"]
    work = json.loads((gate.state_dir / "work.json").read_text())
    assert (work["active"], work["study"], work["round_number"], work["outcome"]) == (False, "slow", 3, "passed")


@pytest.mark.usefixtures("trainer")
def test_a_reply_that_says_too_much_does_not_leave(gate: Gate, make_request: MakeRequest) -> None:
    assert gate.failure(record_of(make_request(plan=study("leak"))))[0] == "FPE-510"
    assert [line["verdict"] for line in gate.audit()] == ["FPE-510"]


@pytest.mark.usefixtures("trainer")
def test_a_failure_says_its_constant_sentence(gate: Gate, make_request: MakeRequest) -> None:
    code, sentence = gate.failure(record_of(make_request(plan=study("fail"))))
    assert (code, sentence) == ("FPE-401", "Training diverged: the loss is no longer a finite number.")


@pytest.mark.usefixtures("trainer")
def test_a_wedged_trainer_is_answered_for(gate: Gate, make_request: MakeRequest) -> None:
    assert gate.failure(record_of(make_request(plan=study("hang"))))[0] == "FPE-610"


def test_a_trainer_that_is_not_there_is_answered_for(gate: Gate, make_request: MakeRequest) -> None:
    assert gate.failure(record_of(make_request(plan=study("quick"))))[0] == "FPE-609"


def test_a_study_against_the_policy_never_reaches_the_trainer(gate: Gate, make_request: MakeRequest) -> None:
    gate.site_file.write_text(gate.site_file.read_text() + "policy: {tasks: [rlvo]}\n")
    assert gate.failure(record_of(make_request(plan=study("quick"))))[0] == "FPE-604"


@pytest.mark.parametrize("kind", list(Kind))
def test_a_message_of_another_version_is_answered_with_its_round(
    gate: Gate, kind: Kind, make_request: MakeRequest
) -> None:
    out = gate.send(record_of(make_request(kind), protocol_version=2), kind)
    assert out["header"]["failure"]["code"] == "FPE-505"
    assert out["header"]["kind"] == kind
    assert out["header"]["round_number"] == (0 if kind is Kind.DESCRIBE else 3)


def test_nonsense_is_answered(gate: Gate) -> None:
    assert gate.failure(RecordDict())[0] == "FPE-303"
    assert gate.failure(RecordDict({"header": ConfigRecord({"json": "{}"})}))[0] == "FPE-303"


def test_a_broken_site_file_is_answered_without_its_content(gate: Gate, make_request: MakeRequest) -> None:
    gate.site_file.write_text("site: Mustermann\n")
    assert gate.failure(record_of(make_request()))[0] == "FPE-104"


def test_an_unknown_error_leaves_without_its_text(gate: Gate, make_request: MakeRequest) -> None:
    (gate.state_dir / "audit.jsonl").mkdir()  # the trail cannot be written, so nothing may leave
    code, sentence = gate.failure(record_of(make_request(plan=study("quick", task="rlvo"))))
    assert (code, sentence) == (FpeError.code, FpeError.safe_sentence)
