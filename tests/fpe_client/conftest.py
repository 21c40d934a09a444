"""Requests and replies of a small study, and a site's folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fpe_core.config.study import StudyPlan
from fpe_core.protocol import (
    NUM_SCORE_BINS,
    Evaluation,
    Kind,
    Reply,
    ReplyHeader,
    Request,
    RequestHeader,
    SiteDescription,
    SplitName,
    TrainingSummary,
)
from fpe_core.state import FlatState, Layout, TensorEntry

LAYOUT = Layout(
    (TensorEntry("head.weight", (2, 3), "float32", "head"), TensorEntry("head.bias", (2,), "float32", "head"))
)
PLAN = StudyPlan(name="small", task="fpe", seed=7)
MakeRequest = Callable[..., Request]
MakeReply = Callable[..., Reply]


@pytest.fixture
def make_request() -> MakeRequest:
    def make(kind: Kind = Kind.TRAIN, *, plan: StudyPlan = PLAN, round_number: int = 3, fill: float = 1.0) -> Request:
        if kind is Kind.DESCRIBE:
            return Request(RequestHeader(kind=kind, plan=plan))
        state = FlatState(LAYOUT, np.full(LAYOUT.size, fill, dtype=np.float32))
        split: SplitName | None = "test" if kind is Kind.EVALUATE else None
        header = RequestHeader(kind=kind, plan=plan, round_number=round_number, split=split, layout=LAYOUT.to_json())
        return Request(header, state)

    return make


@pytest.fixture
def make_reply() -> MakeReply:
    return answer_to


def answer_to(request: Request, **changes: object) -> Reply:
    """A reply that answers `request` in full; `changes` replace fields of its header."""
    header = request.header
    fields: dict[str, object] = {
        "kind": header.kind,
        "study_fingerprint": header.plan.fingerprint(),
        "round_number": header.round_number,
    }
    if header.kind is Kind.DESCRIBE:
        fields["description"] = description()
    else:
        split = {Kind.TRAIN: "validation", Kind.ALONE: "test"}.get(header.kind, header.split)
        fields["evaluation"] = evaluation(split=split)
    state = None
    if header.kind is Kind.TRAIN:
        fields["training"] = TrainingSummary(
            num_cases=40, num_epochs=1, epoch_losses=(0.6,), training_s=1.5, num_positive=15
        )
        state = FlatState(LAYOUT, np.linspace(-1, 1, LAYOUT.size, dtype=np.float32))
    return Reply(ReplyHeader.model_validate(fields | changes), state)


def evaluation(*, split: str | None = "validation", positive: int = 8, negative: int = 12) -> Evaluation:
    return Evaluation.model_validate(
        {
            "split": split,
            "num_cases": positive + negative,
            "num_positive": positive,
            "loss": 0.7,
            "auc": 0.75,
            "positive_scores": (positive, *[0] * (NUM_SCORE_BINS - 1)),
            "negative_scores": (*[0] * (NUM_SCORE_BINS - 1), negative),
        }
    )


def description() -> SiteDescription:
    return SiteDescription(
        software_version="0.1.0",
        recipe_fingerprint="a" * 64,
        label_fingerprint="b" * 64,
        num_train=30,
        num_validation=10,
        num_test=10,
        quarantined={"FPE-212": 2},
        synthetic=True,
    )


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    """A site file whose paths are relative to it; none of the files that it names is there."""
    path = tmp_path / "site.yaml"
    path.write_text(
        "site: north\n"
        "server: {address: '127.0.0.1:1', ca_certificate: ca.crt}\n"
        "private_key: site.key\n"
        "state_dir: state\n"
        "data: {cases: cases.csv}\n"
        "trainer: {overdue_after_s: 2.0}\n"
    )
    return path
