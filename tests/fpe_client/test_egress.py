"""Nothing but what the protocol defines, about the question that was asked, leaves a site."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fpe_client.egress import known_failures, screen
from fpe_core.config.site import SitePolicy
from fpe_core.config.study import PrivacyPlan
from fpe_core.errors import (
    CaseFileUnreadable,
    CaseQualityFailed,
    CaseRejected,
    CaseUnderReview,
    EgressRefused,
    TrainingDiverged,
)
from fpe_core.protocol import Evaluation, Failure, Kind, Reply, ReplyHeader, Request, TrainingSummary
from fpe_core.state import FlatState, Layout, TensorEntry

POLICY = SitePolicy()
SECRET = "Maria-Mustermann-1948"
MakeRequest = Callable[..., Request]
MakeReply = Callable[..., Reply]
quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


def passed(reply: Reply, request: Request, policy: SitePolicy = POLICY) -> Reply:
    return screen(reply, request.header, policy, request.state.layout if request.state else None)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_proper_answer_passes_unchanged(kind: Kind, make_request: MakeRequest, make_reply: MakeReply) -> None:
    request = make_request(kind)
    reply = make_reply(request)
    out = passed(reply, request)
    training = reply.header.training
    kept = training and training.model_copy(update={"num_positive": None})
    assert out.header == reply.header.model_copy(update={"training": kept})
    assert (out.state is None) == (kind is not Kind.TRAIN)
    if out.state is not None and reply.state is not None:
        assert np.array_equal(out.state.values, reply.state.values)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": Kind.EVALUATE},
        {"round_number": 4},
        {"study_fingerprint": "0" * 64},
        {"protocol_version": 2},
    ],
)
def test_an_answer_to_another_question_is_refused(
    change: dict[str, object], make_request: MakeRequest, make_reply: MakeReply
) -> None:
    request = make_request(Kind.TRAIN)
    with pytest.raises(EgressRefused, match="does not answer"):
        passed(make_reply(request, **change), request)


@pytest.mark.parametrize("kind", [Kind.DESCRIBE, Kind.EVALUATE, Kind.ALONE])
def test_weights_leave_on_a_train_request_only(kind: Kind, make_request: MakeRequest, make_reply: MakeReply) -> None:
    request = make_request(kind)
    state = make_reply(make_request(Kind.TRAIN)).state
    with pytest.raises(EgressRefused, match="train request only"):
        passed(Reply(make_reply(request).header, state), request)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("part", ["description", "evaluation", "training"])
def test_a_part_too_many_or_too_few_is_refused(
    kind: Kind, part: str, make_request: MakeRequest, make_reply: MakeReply
) -> None:
    request = make_request(kind)
    reply = make_reply(request)
    donors = [make_reply(make_request(other)).header for other in Kind]
    donor = next(value for header in donors if (value := getattr(header, part)) is not None)
    changed = None if getattr(reply.header, part) is not None else donor
    with pytest.raises(EgressRefused, match="should hold"):
        passed(Reply(reply.header.model_copy(update={part: changed, "layout": None}), reply.state), request)


def test_an_update_of_another_layout_is_refused(make_request: MakeRequest, make_reply: MakeReply) -> None:
    request = make_request(Kind.TRAIN)
    renamed = Layout((TensorEntry(SECRET, (8,), "float32", "head"),))
    reply = Reply(make_reply(request).header, FlatState(renamed, np.zeros(8, dtype=np.float32)))
    with pytest.raises(EgressRefused, match="layout"):
        passed(reply, request)


def test_a_missing_update_is_refused(make_request: MakeRequest, make_reply: MakeReply) -> None:
    request = make_request(Kind.TRAIN)
    with pytest.raises(EgressRefused, match="layout"):
        passed(Reply(make_reply(request).header), request)


@quick
@given(position=st.integers(0, 7), bad=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_an_update_with_any_nonfinite_value_is_refused(
    position: int, bad: float, make_request: MakeRequest, make_reply: MakeReply
) -> None:
    request = make_request(Kind.TRAIN)
    reply = make_reply(request)
    assert reply.state is not None
    reply.state.values[position] = bad
    with pytest.raises(EgressRefused, match="NaN or infinite"):
        passed(reply, request)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nonfinite_metrics_are_refused(bad: float, make_request: MakeRequest, make_reply: MakeReply) -> None:
    request = make_request(Kind.TRAIN)
    reply = make_reply(request)
    evaluation = reply.header.evaluation
    training = reply.header.training
    assert evaluation is not None
    assert training is not None
    for change in (
        {"evaluation": evaluation.model_copy(update={"loss": bad})},
        {"evaluation": evaluation.model_copy(update={"auc": bad})},
        {"training": training.model_copy(update={"epoch_losses": (bad,)})},
        {"training": training.model_copy(update={"training_s": bad})},
    ):
        broken = reply.header.model_copy(update={**change, "layout": None})
        reply.header = broken
        with pytest.raises(EgressRefused, match="not finite"):
            passed(reply, request)


@quick
@given(positive=st.integers(0, 12), negative=st.integers(0, 12), minimum=st.integers(2, 10))
def test_small_classes_are_withheld_and_only_they(
    positive: int, negative: int, minimum: int, make_request: MakeRequest, make_reply: MakeReply
) -> None:
    request = make_request(Kind.EVALUATE)
    split = request.header.split
    counted = Evaluation(
        split=split or "test",
        num_cases=positive + negative,
        num_positive=positive,
        loss=0.5,
        auc=0.5,
        positive_scores=(positive, *[0] * 499),
        negative_scores=(negative, *[0] * 499),
    )
    out = passed(make_reply(request, evaluation=counted), request, SitePolicy(min_cases_per_class=minimum))
    seen = out.header.evaluation
    assert seen is not None
    if min(positive, negative) < minimum:
        assert seen.model_dump(exclude_none=True) == {"split": "test", "num_cases": positive + negative}
    else:
        assert seen == counted


@pytest.mark.parametrize("kind", [Kind.TRAIN, Kind.EVALUATE, Kind.ALONE])
@pytest.mark.parametrize("positive", [0, 1, 4, 5])
def test_the_loss_under_crafted_weights_does_not_tell_the_positives(
    kind: Kind, positive: int, make_request: MakeRequest, make_reply: MakeReply
) -> None:
    """Zero weights and a bias b: a positive case loses log(1 + exp(-b)), a negative one log(1 + exp(b))."""
    num_cases, bias = 20, 3.0
    request = make_request(kind, fill=0.0)
    assert request.state is not None
    request.state.values[-1] = bias
    of_positive, of_negative = np.logaddexp(0, -bias), np.logaddexp(0, bias)
    loss = float(positive * of_positive + (num_cases - positive) * of_negative) / num_cases
    assert (of_negative - loss) / (of_negative - of_positive) == pytest.approx(positive / num_cases)
    reply = make_reply(request)
    assert reply.header.evaluation is not None
    small = {"num_cases": num_cases, "num_positive": positive, "loss": loss, "auc": 0.5}
    small |= {"positive_scores": None, "negative_scores": None}
    changes: dict[str, object] = {"evaluation": reply.header.evaluation.model_copy(update=small), "layout": None}
    if reply.header.training is not None:
        counts = {"num_cases": num_cases, "num_positive": positive, "epoch_losses": (loss,)}
        changes["training"] = reply.header.training.model_copy(update=counts)
    out = passed(Reply(reply.header.model_copy(update=changes), reply.state), request).header
    enough = positive >= POLICY.min_cases_per_class
    assert out.evaluation is not None
    assert out.evaluation.loss == (loss if enough else None)
    assert (str(loss) in out.model_dump_json()) == enough


@pytest.mark.parametrize(
    ("num_positive", "told"), [(None, False), (0, False), (4, False), (5, True), (15, True), (16, False), (20, False)]
)
def test_training_losses_stay_with_too_few_cases_of_a_class(
    num_positive: int | None, told: bool, make_request: MakeRequest, make_reply: MakeReply
) -> None:
    request = make_request(Kind.TRAIN)
    summary = TrainingSummary(
        num_cases=20, num_epochs=1, epoch_losses=(0.25,), training_s=1.0, num_positive=num_positive
    )
    seen = passed(make_reply(request, training=summary), request).header.training
    assert seen is not None
    assert (seen.epoch_losses, seen.num_positive) == ((0.25,) if told else (), None)
    assert (seen.num_cases, seen.num_epochs, seen.training_s) == (20, 1, 1.0)


def test_more_positives_than_training_cases_are_refused(make_request: MakeRequest, make_reply: MakeReply) -> None:
    request = make_request(Kind.TRAIN)
    summary = TrainingSummary(num_cases=20, num_epochs=1, epoch_losses=(0.25,), training_s=1.0, num_positive=21)
    with pytest.raises(EgressRefused, match="more positive"):
        passed(make_reply(request, training=summary), request)


def test_scores_without_a_count_of_positives_are_withheld(make_request: MakeRequest, make_reply: MakeReply) -> None:
    request = make_request(Kind.EVALUATE)
    whole = make_reply(request).header.evaluation
    assert whole is not None
    bare = whole.model_copy(update={"num_positive": None, "positive_scores": None, "negative_scores": None})
    out = passed(make_reply(request, evaluation=bare), request).header.evaluation
    assert out is not None
    assert (out.auc, out.loss) == (None, None)


@pytest.mark.parametrize("field", ["positive_scores", "negative_scores"])
def test_scores_that_do_not_add_up_are_refused(field: str, make_request: MakeRequest, make_reply: MakeReply) -> None:
    request = make_request(Kind.EVALUATE)
    whole = make_reply(request).header.evaluation
    assert whole is not None
    wrong = whole.model_copy(update={field: (1, 2, *[0] * 498)})
    with pytest.raises(EgressRefused, match="add up"):
        passed(make_reply(request, evaluation=wrong), request)


def test_more_positives_than_cases_are_refused(make_request: MakeRequest, make_reply: MakeReply) -> None:
    request = make_request(Kind.EVALUATE)
    whole = make_reply(request).header.evaluation
    assert whole is not None
    wrong = whole.model_copy(update={"num_positive": whole.num_cases + 1})
    with pytest.raises(EgressRefused, match="more positive"):
        passed(make_reply(request, evaluation=wrong), request)


def test_the_split_must_be_the_one_asked_for(make_request: MakeRequest, make_reply: MakeReply) -> None:
    for kind, wrong in ((Kind.EVALUATE, "train"), (Kind.TRAIN, "test"), (Kind.ALONE, "validation")):
        request = make_request(kind)
        reply = make_reply(request)
        assert reply.header.evaluation is not None
        other = reply.header.evaluation.model_copy(update={"split": wrong})
        header = reply.header.model_copy(update={"evaluation": other, "layout": None})
        with pytest.raises(EgressRefused, match="not asked for"):
            passed(Reply(header, reply.state), request)


@pytest.mark.parametrize(("epochs", "losses"), [(2, (0.5, 0.5)), (1, (0.5, 0.5)), (1, ())])
def test_no_more_losses_than_epochs_planned(
    epochs: int, losses: tuple[float, ...], make_request: MakeRequest, make_reply: MakeReply
) -> None:
    request = make_request(Kind.TRAIN)
    training = TrainingSummary(num_cases=4, num_epochs=epochs, epoch_losses=losses, training_s=1.0)
    with pytest.raises(EgressRefused, match="one loss for each epoch"):
        passed(make_reply(request, training=training), request)


def test_losses_of_private_training_stay(make_request: MakeRequest, make_reply: MakeReply) -> None:
    plan = make_request(Kind.TRAIN).header.plan
    private = plan.model_copy(
        update={
            "model": plan.model.model_copy(update={"norm": "group"}),
            "training": plan.training.model_copy(
                update={"privacy": PrivacyPlan(noise_multiplier=1.0), "balance_classes": False}
            ),
            "federation": plan.federation.model_copy(update={"compare_with_local": False}),
        }
    )
    request = make_request(Kind.TRAIN, plan=private)
    summary = TrainingSummary(num_cases=4, num_epochs=1, epoch_losses=(), training_s=1.0)
    assert passed(make_reply(request, training=summary), request).header.training == summary
    told = summary.model_copy(update={"epoch_losses": (0.5,)})
    with pytest.raises(EgressRefused, match="none where training is private"):
        passed(make_reply(request, training=told), request)


def test_a_failure_leaves_as_code_and_constant_sentence(make_request: MakeRequest) -> None:
    request = make_request(Kind.TRAIN)
    reply = Reply.failed(request.header, TrainingDiverged(f"case {SECRET} gave NaN", hint=f"look at {SECRET}"))
    out = passed(reply, request)
    assert out.header.failure == Failure(code="FPE-401", sentence=TrainingDiverged.safe_sentence)
    assert SECRET not in out.header.model_dump_json()


@quick
@given(sentence=st.text(max_size=200), code=st.sampled_from([*known_failures(), "FPE-999"]))
def test_no_sentence_but_the_codes_own_leaves(sentence: str, code: str, make_request: MakeRequest) -> None:
    request = make_request(Kind.TRAIN)
    reply = Reply.failed(request.header, TrainingDiverged())
    header = reply.header.model_copy(update={"failure": Failure(code=code, sentence=sentence)})
    if known_failures().get(code) == sentence:
        return
    with pytest.raises(EgressRefused, match="constants"):
        passed(Reply(header), request)


def test_a_failure_comes_alone(make_request: MakeRequest, make_reply: MakeReply) -> None:
    request = make_request(Kind.TRAIN)
    failure = Failure.of(TrainingDiverged())
    whole = make_reply(request)
    for header, state in (
        (whole.header.model_copy(update={"failure": failure, "layout": None}), None),
        (Reply.failed(request.header, TrainingDiverged()).header, whole.state),
    ):
        with pytest.raises(EgressRefused, match="alone"):
            passed(Reply(header, state), request)


@pytest.mark.parametrize("version", ["9.9.9", SECRET])
def test_the_software_version_must_be_the_installed_one(
    version: str, make_request: MakeRequest, make_reply: MakeReply
) -> None:
    request = make_request(Kind.DESCRIBE)
    original = make_reply(request).header.description
    assert original is not None
    description = original.model_copy(update={"software_version": version})
    with pytest.raises(EgressRefused, match="software version"):
        passed(make_reply(request, description=description), request)


def test_quarantine_reasons_must_be_case_codes(make_request: MakeRequest, make_reply: MakeReply) -> None:
    request = make_request(Kind.DESCRIBE)
    original = make_reply(request).header.description
    assert original is not None
    gate = {CaseQualityFailed.code: 2, CaseUnderReview.code: 1, CaseRejected.code: 3}
    for codes, fine in (
        ({CaseFileUnreadable.code: 1}, True),
        (gate, True),
        ({"FPE-401": 1}, False),
        ({"FPE-999": 1}, False),
    ):
        reply = make_reply(request, description=original.model_copy(update={"quarantined": codes}))
        if fine:
            passed(reply, request)
        else:
            with pytest.raises(EgressRefused, match="quarantine"):
                passed(reply, request)


def strings_in(value: Any) -> set[str]:
    """Every text in a JSON value, keys included."""
    if isinstance(value, dict):
        return set(value) | {text for part in value.values() for text in strings_in(part)}
    if isinstance(value, list):
        return {text for part in value for text in strings_in(part)}
    return {value} if isinstance(value, str) else set()


@pytest.mark.parametrize("kind", list(Kind))
def test_every_text_that_leaves_is_known(kind: Kind, make_request: MakeRequest, make_reply: MakeReply) -> None:
    """Field names, enumerated values, hashes, the server's own layout, and nothing else."""
    request = make_request(kind)
    header = json.loads(passed(make_reply(request), request).header.model_dump_json())
    fields = set(ReplyHeader.model_fields) | {
        name
        for model in ReplyHeader.model_fields.values()
        for part in getattr(model.annotation, "__args__", ())
        for name in getattr(part, "model_fields", {})
    }
    known = fields | set(Kind) | {"train", "validation", "test", "0.1.0", "FPE-212", request.header.plan.fingerprint()}
    known |= {"a" * 64, "b" * 64}
    if request.header.layout and kind is Kind.TRAIN:
        known.add(request.header.layout)
    assert strings_in(header) <= known
