"""The wire contract: what survives the way through bytes, and what is refused on it."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from fpe_core.config.study import StudyPlan
from fpe_core.errors import (
    CaseFileMissing,
    FpeError,
    ModelError,
    ProtocolVersionWrong,
    StateMismatch,
    StateUnreadable,
)
from fpe_core.protocol import (
    NUM_SCORE_BINS,
    PROTOCOL_VERSION,
    Evaluation,
    Failure,
    Kind,
    Reply,
    ReplyHeader,
    Request,
    SiteDescription,
    SplitName,
    TrainingSummary,
    reply_from_bytes,
    request_from_bytes,
    to_bytes,
)
from fpe_core.state import FlatState, Layout, TensorEntry

PLAN = StudyPlan(name="trial", task="fpe", seed=7)
LAYOUT = Layout((TensorEntry("w", (2, 3), "float32", "b"), TensorEntry("n", (), "int64", "norm")))
VALUES = arrays(np.float32, LAYOUT.size, elements=st.floats(width=32, allow_nan=True, allow_infinity=True))
COUNTS = st.integers(0, 10**6)
LOSSES = st.floats(allow_nan=False, allow_infinity=False)
BINS = st.lists(COUNTS, min_size=NUM_SCORE_BINS, max_size=NUM_SCORE_BINS).map(tuple)
AUCS = st.floats(0, 1)
SHA = "0123456789abcdef" * 4
EVALUATIONS = st.builds(
    Evaluation,
    split=st.sampled_from(["train", "validation", "test"]),
    num_cases=COUNTS,
    num_positive=st.none() | COUNTS,
    loss=st.none() | LOSSES,
    auc=st.none() | AUCS,
    positive_scores=st.none() | BINS,
    negative_scores=st.none() | BINS,
)
SUMMARIES = st.builds(
    TrainingSummary,
    num_cases=COUNTS,
    num_epochs=COUNTS,
    epoch_losses=st.lists(LOSSES, max_size=5).map(tuple),
    training_s=st.floats(0, 1e6),
    num_positive=st.none() | COUNTS,
)
DESCRIPTIONS = st.builds(
    SiteDescription,
    software_version=st.just("0.1.0"),
    recipe_fingerprint=st.just(SHA),
    label_fingerprint=st.just(SHA),
    num_train=COUNTS,
    num_validation=COUNTS,
    num_test=COUNTS,
    quarantined=st.dictionaries(st.sampled_from(["FPE-211", "FPE-219"]), COUNTS),
    synthetic=st.booleans(),
)
HEADERS = st.builds(
    ReplyHeader,
    kind=st.sampled_from(list(Kind)),
    study_fingerprint=st.just(SHA),
    round_number=COUNTS,
    failure=st.none() | st.just(Failure.of(CaseFileMissing("/data/patient-7"))),
    description=st.none() | DESCRIPTIONS,
    evaluation=st.none() | EVALUATIONS,
    training=st.none() | SUMMARIES,
)


def state(values: np.ndarray | None = None) -> FlatState:
    return FlatState(LAYOUT, np.arange(LAYOUT.size, dtype=np.float32) if values is None else values)


def request(kind: Kind = Kind.TRAIN) -> Request:
    if kind is Kind.DESCRIBE:
        return Request.about(kind, PLAN)
    return Request.about(kind, PLAN, state(), round_number=2, split="test" if kind is Kind.EVALUATE else None)


def frame(header: object, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack(">Q", len(text)) + text + body


def assert_same(one: FlatState | None, other: FlatState | None) -> None:
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert one.layout == other.layout
        assert one.values.tobytes() == other.values.tobytes()


@given(kind=st.sampled_from(list(Kind)), values=VALUES, round_number=COUNTS, seed=st.integers(0, 2**32 - 1))
def test_any_request_survives_its_bytes(kind: Kind, values: np.ndarray, round_number: int, seed: int) -> None:
    plan = PLAN.model_copy(update={"seed": seed})
    model = None if kind is Kind.DESCRIBE else state(values)
    split: SplitName | None = "train" if kind is Kind.EVALUATE else None
    sent = Request.about(kind, plan, model, round_number=round_number, split=split)
    got = request_from_bytes(to_bytes(sent))
    assert got.header == sent.header
    assert got.header.plan.fingerprint() == plan.fingerprint()
    assert_same(got.state, sent.state)


@given(header=HEADERS, values=st.none() | VALUES)
def test_any_reply_survives_its_bytes(header: ReplyHeader, values: np.ndarray | None) -> None:
    sent = Reply(header, None if values is None else state(values))
    got = reply_from_bytes(to_bytes(sent))
    assert got.header == sent.header
    assert_same(got.state, sent.state)


def test_the_array_is_little_endian_behind_a_big_endian_length() -> None:
    sent = to_bytes(request())
    (length,) = struct.unpack(">Q", sent[:8])
    assert json.loads(sent[8 : 8 + length])["kind"] == "train"
    assert sent[8 + length :] == struct.pack("<7f", *range(7))


def test_a_frame_cut_off_anywhere_is_refused() -> None:
    sent = to_bytes(request())
    for length in [*range(0, len(sent), 37), *range(len(sent) - 32, len(sent))]:
        with pytest.raises(ModelError):
            request_from_bytes(sent[:length])


def test_a_header_shorter_than_announced_is_refused() -> None:
    sent = to_bytes(request(Kind.DESCRIBE))
    (length,) = struct.unpack(">Q", sent[:8])
    request_from_bytes(sent)
    for announced in (length + 1, length + 4, 2**63):
        with pytest.raises(StateUnreadable, match="cut off"):
            request_from_bytes(struct.pack(">Q", announced) + sent[8:])


def test_a_frame_with_too_much_behind_it_is_refused() -> None:
    sent = to_bytes(request())
    for extra in (b"\0", b"\0\0\0\0"):
        with pytest.raises(ModelError):
            request_from_bytes(sent + extra)


@pytest.mark.parametrize("version", [0, PROTOCOL_VERSION + 1])
def test_another_version_is_named(version: int) -> None:
    ours = json.loads(request().header.model_dump_json())
    with pytest.raises(ProtocolVersionWrong, match=f"should be {PROTOCOL_VERSION}, got {version}"):
        request_from_bytes(frame(ours | {"protocol_version": version}))
    # Another version may have other keys; it is the version that is refused, and not the keys.
    with pytest.raises(ProtocolVersionWrong):
        reply_from_bytes(frame({"protocol_version": version, "novelty": 1}))


@pytest.mark.parametrize("header", [{}, {"protocol_version": "one"}, [], "text"])
def test_a_header_without_a_version_is_refused(header: object) -> None:
    with pytest.raises(StateUnreadable):
        request_from_bytes(frame(header))
    with pytest.raises(StateUnreadable):
        reply_from_bytes(struct.pack(">Q", 3) + b"{{{")


def test_a_foreign_key_cannot_travel_at_any_depth() -> None:
    asked = json.loads(request(Kind.DESCRIBE).header.model_dump_json())
    answer = json.loads(ReplyHeader(kind=Kind.TRAIN, study_fingerprint=SHA).model_dump_json())
    secret = {"patient": "Mustermann"}
    for header in (asked | secret, asked | {"plan": asked["plan"] | secret}):
        with pytest.raises(StateUnreadable) as caught:
            request_from_bytes(frame(header))
        assert "Mustermann" not in str(caught.value)
    failure = {"code": "FPE-211", "sentence": "gone"} | secret
    for header in (answer | secret, answer | {"failure": failure}):
        with pytest.raises(StateUnreadable) as caught:
            reply_from_bytes(frame(header))
        assert "Mustermann" not in str(caught.value)


def test_array_and_layout_travel_together_or_not_at_all() -> None:
    values = np.arange(LAYOUT.size, dtype=np.float32)
    bare = ReplyHeader(kind=Kind.TRAIN, study_fingerprint=SHA)
    with pytest.raises(StateUnreadable):
        Reply.from_parts(bare.model_dump_json(), values)
    with pytest.raises(StateUnreadable):
        Reply.from_parts(bare.model_copy(update={"layout": LAYOUT.to_json()}).model_dump_json(), None)


def test_an_array_of_another_size_than_its_layout_is_refused() -> None:
    header = request().header.model_dump_json()
    with pytest.raises(StateMismatch, match="float32 of 7 elements"):
        Request.from_parts(header, np.zeros(6, np.float32))


def test_the_layout_is_the_states_whatever_the_header_said() -> None:
    header = ReplyHeader(kind=Kind.TRAIN, study_fingerprint=SHA, layout="nonsense")
    assert Reply(header, state()).header.layout == LAYOUT.to_json()
    assert Reply(header).header.layout is None


@pytest.mark.parametrize("kind", [Kind.TRAIN, Kind.EVALUATE, Kind.ALONE])
def test_a_question_about_a_model_carries_it(kind: Kind) -> None:
    split: SplitName | None = "test" if kind is Kind.EVALUATE else None
    with pytest.raises(ValidationError, match="should carry a model"):
        Request.about(kind, PLAN, None, split=split)


def test_a_description_is_asked_for_without_a_model() -> None:
    with pytest.raises(ValidationError, match="should not carry a model"):
        Request.about(Kind.DESCRIBE, PLAN, state())


@pytest.mark.parametrize("kind", list(Kind))
def test_a_split_belongs_to_an_evaluation_only(kind: Kind) -> None:
    model = None if kind is Kind.DESCRIBE else state()
    with pytest.raises(ValidationError, match="a split belongs to an evaluate request"):
        Request.about(kind, PLAN, model, split=None if kind is Kind.EVALUATE else "test")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_cases", -1),
        ("auc", 1.01),
        ("positive_scores", (1,) * (NUM_SCORE_BINS - 1)),
        ("negative_scores", (1,) * (NUM_SCORE_BINS + 1)),
        ("split", "all"),
    ],
)
def test_an_evaluation_out_of_its_ranges_is_refused(field: str, value: object) -> None:
    good = {
        "split": "test",
        "num_cases": 1,
        "num_positive": None,
        "loss": 0.5,
        "auc": None,
        "positive_scores": None,
        "negative_scores": None,
    }
    Evaluation.model_validate(good)
    with pytest.raises(ValidationError, match=field):
        Evaluation.model_validate(good | {field: value})


def test_a_failure_says_constants_only() -> None:
    error: FpeError = CaseFileMissing("/data/Mustermann/flair.nii.gz", hint="look in the archive")
    reply = Reply.failed(request().header, error)
    assert reply.header.failure == Failure(code="FPE-211", sentence=CaseFileMissing.safe_sentence)
    assert b"Mustermann" not in to_bytes(reply)
    assert (reply.header.kind, reply.header.round_number) == (Kind.TRAIN, 2)
    assert reply.header.study_fingerprint == PLAN.fingerprint()


def test_a_count_that_no_hospital_has_is_no_count() -> None:
    """Such a number could carry a message."""
    fields = {
        "software_version": "0.1.0", "recipe_fingerprint": "a" * 64, "label_fingerprint": "b" * 64,
        "num_train": 3, "num_validation": 1, "num_test": 1, "quarantined": {}, "synthetic": True,
    }  # fmt: skip
    SiteDescription.model_validate(fields)
    for name in ("num_train", "quarantined"):
        with pytest.raises(ValidationError):
            SiteDescription.model_validate(fields | {name: {"FPE-212": 10**12} if name == "quarantined" else 10**12})
