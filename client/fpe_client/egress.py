"""The egress gate: the only door through which a reply leaves the hospital.

Nothing passes because it was not forbidden. A reply is built anew from the fields that the protocol defines for its
kind, every number is checked, every text must be a constant of this software, and the site's own policy withholds what
would describe too few patients.

A mean loss would, where a class has few cases: whoever sends zero weights and a bias b knows the loss of a positive
case, log(1 + exp(-b)), and of a negative one, log(1 + exp(b)), and solves the mean for the number of positives; with a
single case it is that case's loss. So losses are withheld together with counts and scores.
"""

import math
from collections.abc import Iterator

import numpy as np

from fpe_core import __version__
from fpe_core.config.site import SitePolicy
from fpe_core.errors import CaseError, EgressRefused, FpeError
from fpe_core.protocol import (
    PROTOCOL_VERSION,
    Evaluation,
    Failure,
    Kind,
    Reply,
    ReplyHeader,
    RequestHeader,
    SiteDescription,
    TrainingSummary,
)
from fpe_core.state import FlatState, Layout

_CONTENT = {
    Kind.DESCRIBE: {"description"},
    Kind.TRAIN: {"evaluation", "training"},
    Kind.EVALUATE: {"evaluation"},
    Kind.ALONE: {"evaluation"},
}
_OF_BOTH_CLASSES = ("num_positive", "loss", "auc", "positive_scores", "negative_scores")
_SPLITS = {Kind.TRAIN: "validation", Kind.ALONE: "test"}


def screen(reply: Reply, request_header: RequestHeader, policy: SitePolicy, received: Layout | None) -> Reply:
    """Return what may leave of `reply`.

    Args:
        reply: the trainer's answer.
        request_header: what was asked.
        policy: what the site agreed to.
        received: layout of the model that came with the request, or None.

    Raises:
        EgressRefused: the reply holds anything that does not belong in an answer to this request.
    """
    header = reply.header
    _answers(header, request_header)
    if header.failure is not None:
        return _failure(header, reply.state)
    present = {name for name in ("description", "evaluation", "training") if getattr(header, name) is not None}
    if present != _CONTENT[header.kind]:
        raise EgressRefused(f"a {header.kind} reply should hold {_CONTENT[header.kind]}, got {present}")
    clean = ReplyHeader(
        kind=header.kind,
        study_fingerprint=header.study_fingerprint,
        round_number=header.round_number,
        description=_description(header.description) if header.description else None,
        evaluation=_evaluation(header.evaluation, request_header, policy) if header.evaluation else None,
        training=_training(header.training, request_header, policy) if header.training else None,
    )
    return Reply(clean, _update(reply.state, header.kind, received))


def known_failures() -> dict[str, str]:
    """Every code that may leave, and the one sentence that goes with it."""
    return {error.code: error.safe_sentence for error in _descendants(FpeError)}


def _answers(header: ReplyHeader, asked: RequestHeader) -> None:
    got = (header.protocol_version, header.kind, header.round_number, header.study_fingerprint)
    if got != (PROTOCOL_VERSION, asked.kind, asked.round_number, asked.plan.fingerprint()):
        raise EgressRefused("the reply does not answer the request: version, kind, round or study differ")


def _failure(header: ReplyHeader, state: FlatState | None) -> Reply:
    failure = header.failure
    extra = (header.description, header.evaluation, header.training, header.layout, state)
    if failure is None or any(part is not None for part in extra):
        raise EgressRefused("a failure should come alone")
    if known_failures().get(failure.code) != failure.sentence:
        raise EgressRefused("a failure's code and sentence should be constants of one error class")
    clean = Failure(code=failure.code, sentence=failure.sentence)
    return Reply(
        ReplyHeader(
            kind=header.kind,
            study_fingerprint=header.study_fingerprint,
            round_number=header.round_number,
            failure=clean,
        )
    )


def _description(description: SiteDescription) -> SiteDescription:
    if description.software_version != __version__:
        raise EgressRefused("the software version is not the installed one")
    if not set(description.quarantined) <= {error.code for error in _descendants(CaseError)}:
        raise EgressRefused("a quarantine reason is not a known code")
    return SiteDescription.model_validate(description.model_dump())


def _evaluation(evaluation: Evaluation, asked: RequestHeader, policy: SitePolicy) -> Evaluation:
    if evaluation.split != _SPLITS.get(asked.kind, asked.split):
        raise EgressRefused(f"the evaluation is about the split {evaluation.split}, which was not asked for")
    _finite("evaluation", [evaluation.loss or 0.0, evaluation.auc or 0.0])
    few = _few_of_a_class(evaluation, policy)
    _scores_add_up(evaluation)
    if few:
        evaluation = evaluation.model_copy(update=dict.fromkeys(_OF_BOTH_CLASSES))
    return Evaluation.model_validate(evaluation.model_dump())


def _few_of_a_class(counted: Evaluation | TrainingSummary, policy: SitePolicy) -> bool:
    """Whether one class has fewer cases than the policy asks for; a class that was not counted has."""
    if counted.num_positive is None:
        return True
    if counted.num_positive > counted.num_cases:
        raise EgressRefused("a reply counts more positive cases than cases")
    return min(counted.num_positive, counted.num_cases - counted.num_positive) < policy.min_cases_per_class


def _scores_add_up(evaluation: Evaluation) -> None:
    positive = evaluation.num_positive
    for scores, count in (
        (evaluation.positive_scores, positive),
        (evaluation.negative_scores, None if positive is None else evaluation.num_cases - positive),
    ):
        if scores is not None and sum(scores) != count:
            raise EgressRefused("an evaluation's binned scores do not add up to its cases")


def _training(training: TrainingSummary, asked: RequestHeader, policy: SitePolicy) -> TrainingSummary:
    """The summary without its number of positives, and without losses where a class has too few cases.

    The number is for this decision only; what leaves says no more than that one class is, or is not, below the minimum.
    """
    _finite("training summary", [*training.epoch_losses, training.training_s])
    plan = asked.plan.training
    # The losses of private training are taken from its cases without noise.
    num_losses = 0 if plan.privacy else training.num_epochs
    if len(training.epoch_losses) != num_losses or training.num_epochs > plan.local_epochs:
        raise EgressRefused(
            "a training summary should hold one loss for each epoch, none where training is private, "
            "and no more epochs than planned"
        )
    losses = () if _few_of_a_class(training, policy) else training.epoch_losses
    return TrainingSummary.model_validate({**training.model_dump(), "epoch_losses": losses, "num_positive": None})


def _update(state: FlatState | None, kind: Kind, received: Layout | None) -> FlatState | None:
    if kind is not Kind.TRAIN:
        if state is not None:
            raise EgressRefused(f"weights may leave on a train request only, not on {kind}")
        return None
    if state is None or received is None or state.layout != received:
        raise EgressRefused("the update's layout is not that of the model received")
    if not np.isfinite(state.values).all():
        raise EgressRefused("the update holds NaN or infinite values")
    return FlatState(received, np.ascontiguousarray(state.values, dtype=np.float32))


def _finite(what: str, numbers: list[float]) -> None:
    if not all(math.isfinite(number) for number in numbers):
        raise EgressRefused(f"the {what} holds a number that is not finite")


def _descendants(root: type[FpeError]) -> Iterator[type[FpeError]]:
    yield root
    for child in root.__subclasses__():
        yield from _descendants(child)
