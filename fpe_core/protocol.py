"""The wire contract between server and site: what may be asked, what may be answered, and in which form.

A message is a JSON header and at most one flat float32 array. Headers are closed pydantic models: a key that is not
named here cannot travel. Nothing is pickled.
"""

import struct
from enum import StrEnum
from typing import Annotated, Literal, Self, TypeVar

import numpy as np
from pydantic import ConfigDict, Field, ValidationError, model_validator

from fpe_core.config.base import FrozenModel
from fpe_core.config.study import StudyPlan
from fpe_core.errors import FpeError, ProtocolVersionWrong, StateUnreadable
from fpe_core.state import FlatState, FloatArray, Layout

PROTOCOL_VERSION = 1
NUM_SCORE_BINS = 500
"""Predicted probabilities leave a site only as counts in so many fixed bins of [0, 1]."""

SplitName = Literal["train", "validation", "test"]
MAX_COUNT = 10_000_000
"""No hospital has more cases: a larger number carries something else."""
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Bins = Annotated[tuple[Count, ...], Field(min_length=NUM_SCORE_BINS, max_length=NUM_SCORE_BINS)]
Code = Annotated[str, Field(pattern=r"^FPE-\d{3}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Kind(StrEnum):
    """What the server can ask."""

    DESCRIBE = "describe"
    """How many cases the site has, and whether it can take part. No state either way."""
    TRAIN = "train"
    """Evaluate the model that comes with it on the validation cases, train one local round, return the update."""
    EVALUATE = "evaluate"
    """Evaluate the model that comes with it on one split."""
    ALONE = "alone"
    """Train the network on this site alone for as long as the whole study does; return its evaluation only."""


class Evaluation(FrozenModel):
    """Counted metrics of one model on one split of one site."""

    split: SplitName
    num_cases: Count
    num_positive: Count | None
    """None where the site's policy holds the count back."""
    loss: float | None
    """Mean loss per case (the training loss without class weights); None with too few cases of a class."""
    auc: Annotated[float, Field(ge=0, le=1)] | None
    """Exact ROC-AUC; None with too few cases of a class."""
    positive_scores: Bins | None
    """Number of positive cases per probability bin; None with too few cases of a class."""
    negative_scores: Bins | None
    """Number of negative cases per probability bin; None with too few cases of a class."""


class TrainingSummary(FrozenModel):
    """What one local round did."""

    num_cases: Count
    """Training cases the update stands for: its weight in the average."""
    num_epochs: Count
    epoch_losses: tuple[float, ...]
    """Mean training loss per case, for each epoch; empty where training is private or has too few cases of a class."""
    training_s: Annotated[float, Field(ge=0)]
    """Wall time of evaluation and training at the site, in seconds."""
    num_positive: Count | None = None
    """Training cases with the outcome. The site's gate needs it to judge `epoch_losses` and always takes it out."""


class SiteDescription(FrozenModel):
    """What a site says about itself before a study."""

    software_version: str = Field(pattern=r"^[0-9A-Za-z.+-]{1,32}$")
    recipe_fingerprint: Sha256
    label_fingerprint: Sha256
    num_train: Count
    num_validation: Count
    num_test: Count
    quarantined: dict[Code, Count]
    """Cases left out, counted by reason code."""
    synthetic: bool
    """True when the site's table says that its cases are phantoms."""


class Failure(FrozenModel):
    """All that a site says when something went wrong."""

    code: Code
    sentence: Annotated[str, Field(max_length=200)]

    @classmethod
    def of(cls, error: FpeError) -> Self:
        """The safe half of an error: its class's constants, never its message."""
        return cls(code=error.code, sentence=error.safe_sentence)


class RequestHeader(FrozenModel):
    """Everything of a request but the weights."""

    protocol_version: int = PROTOCOL_VERSION
    kind: Kind
    plan: StudyPlan
    round_number: Count = 0
    """Federated round, from 1; 0 outside rounds."""
    split: SplitName | None = None
    """Which split an EVALUATE is about."""
    layout: str | None = None
    """JSON of the layout of the array that comes with it."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.layout is None) != (self.kind is Kind.DESCRIBE):
            raise ValueError(f"a {self.kind} request should {'not ' if self.layout else ''}carry a model")
        if (self.split is None) != (self.kind is not Kind.EVALUATE):
            raise ValueError("a split belongs to an evaluate request, and to no other")
        return self


class ReplyHeader(FrozenModel):
    """Everything of a reply but the weights."""

    protocol_version: int = PROTOCOL_VERSION
    kind: Kind
    study_fingerprint: Sha256
    round_number: Count = 0
    failure: Failure | None = None
    description: SiteDescription | None = None
    evaluation: Evaluation | None = None
    training: TrainingSummary | None = None
    layout: str | None = None


H = TypeVar("H", RequestHeader, ReplyHeader)


class Request:
    """A question from the server with the model it is about.

    Attributes:
        header: what is asked.
        state: the global model, or None.
    """

    def __init__(self, header: RequestHeader, state: FlatState | None = None) -> None:
        self.header = _with_layout(header, state)
        self.state = state

    @property
    def values(self) -> FloatArray | None:
        """The flat array that travels beside the header."""
        return self.state.values if self.state else None

    @classmethod
    def about(
        cls,
        kind: Kind,
        plan: StudyPlan,
        state: FlatState | None = None,
        *,
        round_number: int = 0,
        split: SplitName | None = None,
    ) -> "Request":
        """A question of `kind` about the model `state` in the study `plan`."""
        layout = state.layout.to_json() if state else None
        return cls(RequestHeader(kind=kind, plan=plan, round_number=round_number, split=split, layout=layout), state)

    @classmethod
    def from_parts(cls, header_json: str | bytes, values: FloatArray | None) -> "Request":
        """Read a request that arrived as header and array.

        Raises:
            ProtocolVersionWrong: the other side speaks another version.
            StateUnreadable: the header or the array is not what this version defines.
        """
        return cls(*_read(RequestHeader, header_json, values))


class Reply:
    """A site's answer.

    Attributes:
        header: failure, or the counted results.
        state: the update (trained weights minus received weights) of a TRAIN, else None.
    """

    def __init__(self, header: ReplyHeader, state: FlatState | None = None) -> None:
        self.header = _with_layout(header, state)
        self.state = state

    @property
    def values(self) -> FloatArray | None:
        """The flat array that travels beside the header."""
        return self.state.values if self.state else None

    @classmethod
    def failed(cls, request: RequestHeader, error: FpeError) -> "Reply":
        """The answer to `request` when `error` happened: a code and a constant sentence."""
        return cls(
            ReplyHeader(
                kind=request.kind,
                study_fingerprint=request.plan.fingerprint(),
                round_number=request.round_number,
                failure=Failure.of(error),
            )
        )

    @classmethod
    def from_parts(cls, header_json: str | bytes, values: FloatArray | None) -> "Reply":
        """Read a reply that arrived as header and array.

        Raises:
            ProtocolVersionWrong: the other side speaks another version.
            StateUnreadable: the header or the array is not what this version defines.
        """
        return cls(*_read(ReplyHeader, header_json, values))


def to_bytes(message: Request | Reply) -> bytes:
    """One frame for a local socket: length of the header (8 bytes, big-endian), header, little-endian float32 array."""
    header = message.header.model_dump_json().encode()
    body = b"" if message.values is None else message.values.astype("<f4", copy=False).tobytes()
    return struct.pack(">Q", len(header)) + header + body


def request_from_bytes(frame: bytes) -> Request:
    """Read a request from `to_bytes`. Raises as `Request.from_parts` does."""
    return Request.from_parts(*_parts(frame))


def reply_from_bytes(frame: bytes) -> Reply:
    """Read a reply from `to_bytes`. Raises as `Reply.from_parts` does."""
    return Reply.from_parts(*_parts(frame))


def _parts(frame: bytes) -> tuple[bytes, FloatArray | None]:
    if len(frame) < 8:
        raise StateUnreadable("a frame should have at least 8 bytes")
    (length,) = struct.unpack(">Q", frame[:8])
    header, body = frame[8 : 8 + length], memoryview(frame)[8 + length :]
    if len(header) != length or len(body) % 4:
        raise StateUnreadable("a frame is cut off")
    return header, np.frombuffer(body, dtype="<f4").astype(np.float32, copy=False) if len(body) else None


def _with_layout(header: H, state: FlatState | None) -> H:
    """The header with the layout of the state that travels beside it, validated as a whole."""
    layout = state.layout.to_json() if state else None
    return type(header).model_validate({**header.model_dump(), "layout": layout})


def _read(model: type[H], header_json: str | bytes, values: FloatArray | None) -> tuple[H, FlatState | None]:
    _check_version(header_json)
    try:
        header = model.model_validate_json(header_json)
    except ValidationError as error:
        raise StateUnreadable(f"a message's header is not valid: {error.error_count()} errors") from None
    return header, _state(header.layout, values)


def _state(layout: str | None, values: FloatArray | None) -> FlatState | None:
    if (layout is None) != (values is None):
        raise StateUnreadable("a message should carry a layout and an array, or neither")
    return None if layout is None or values is None else FlatState(Layout.from_json(layout), values)


class _Version(FrozenModel):
    model_config = ConfigDict(extra="ignore")
    protocol_version: int


def _check_version(header_json: str | bytes) -> None:
    try:
        version = _Version.model_validate_json(header_json).protocol_version
    except ValidationError:
        raise StateUnreadable("a message's header is not JSON with a protocol version") from None
    if version != PROTOCOL_VERSION:
        raise ProtocolVersionWrong(
            f"protocol version should be {PROTOCOL_VERSION}, got {version}",
            hint="install the same release on both sides",
        )
