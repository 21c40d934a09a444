"""What a site answers to each kind of request, and what it says when something goes wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpe_client import handlers
from fpe_client.egress import screen
from fpe_client.handlers import handle
from fpe_client.session import SiteSession
from fpe_core import __version__
from fpe_core.config.loader import load_site
from fpe_core.config.recipe import recipe_named
from fpe_core.config.study import StudyPlan
from fpe_core.data.labels import label_fingerprint
from fpe_core.errors import PrivacyBudgetSpent
from fpe_core.models.planned import initial_state
from fpe_core.models.state import write_state
from fpe_core.protocol import Evaluation, Kind, Reply, Request, SplitName, to_bytes
from fpe_core.state import FlatState, Layout
from fpe_core.training.accountant import epsilon
from fpe_core.training.alone import round_seed, train_alone
from fpe_core.training.local_round import train_round
from fpe_core.training.predict import no_progress, predict

MakeSite = Callable[..., Path]
PLAN = StudyPlan.model_validate(
    {
        "name": "small",
        "task": "fpe",
        "seed": 3,
        "recipe": "mnt-dl-mr-small",
        "model": {"base_width": 8},
        "training": {"batch_size": 6, "learning_rate": 0.01, "local_epochs": 3},
        "federation": {"rounds": 2, "min_sites": 1, "quorum": 1},
    }
)


@pytest.fixture
def session(make_site: MakeSite) -> SiteSession:
    return SiteSession(load_site(make_site()))


def ask(session: SiteSession, kind: Kind, *, plan: StudyPlan = PLAN, **details: Any) -> Reply:
    state = None if kind is Kind.DESCRIBE else initial_state(plan)
    request = Request.about(kind, plan, state, **details)
    reply = handle(request, session, no_progress)
    header = reply.header
    assert (header.kind, header.study_fingerprint) == (kind, plan.fingerprint())
    assert header.round_number == details.get("round_number", 0)
    # What the handlers answer is what the gate lets out.
    screen(reply, request.header, session.config.policy, state.layout if state else None)
    return reply


def failure_of(reply: Reply) -> str:
    header = reply.header
    assert header.failure is not None
    assert (header.description, header.evaluation, header.training, reply.state) == (None, None, None, None)
    return header.failure.code


def judged(session: SiteSession, state: FlatState, split: SplitName) -> tuple[float, np.ndarray]:
    """Loss and probabilities of `state` on one split of the site."""
    model = session.model(PLAN)
    write_state(model, state)
    cases = getattr(session.cases(PLAN).splits, split)
    result = predict(model, cases, plan=PLAN.training, hardware=session.hardware)
    return result.loss, result.probabilities


def assert_about(evaluation: Evaluation | None, loss: float, num_cases: int) -> None:
    assert evaluation is not None
    assert evaluation.loss == loss
    assert (evaluation.num_cases, evaluation.num_positive) == (num_cases, num_cases // 2)
    assert sum(evaluation.positive_scores or ()) == sum(evaluation.negative_scores or ()) == num_cases // 2


def test_describe_counts_the_cohort(session: SiteSession) -> None:
    description = ask(session, Kind.DESCRIBE).header.description
    assert description is not None
    assert (description.num_train, description.num_validation, description.num_test) == (8, 4, 4)
    assert description.recipe_fingerprint == recipe_named("mnt-dl-mr-small").fingerprint()
    assert description.label_fingerprint == label_fingerprint("fpe")
    assert description.software_version == __version__
    assert description.synthetic


def test_train_judges_what_came_and_returns_the_difference(session: SiteSession) -> None:
    received = initial_state(PLAN)
    reply = ask(session, Kind.TRAIN, round_number=2)
    loss, _ = judged(session, received, "validation")
    assert reply.header.evaluation is not None
    assert reply.header.evaluation.split == "validation"
    assert_about(reply.header.evaluation, loss, 4)
    splits = session.cases(PLAN).splits
    expected = train_round(
        session.model(PLAN),
        received,
        train=splits.train,
        validation=splits.validation,
        plan=PLAN.training,
        seed=round_seed(PLAN, "north", 2),
        hardware=session.hardware,
    )
    assert reply.state is not None
    np.testing.assert_array_equal(reply.state.values, expected.trained.values - received.values)
    assert np.abs(reply.state.values).max() > 0
    assert reply.header.training is not None
    assert reply.header.training.num_cases == len(splits.train)
    assert reply.header.training.epoch_losses == expected.summary.epoch_losses


@pytest.mark.parametrize(("split", "num_cases"), [("train", 8), ("validation", 4), ("test", 4)])
def test_evaluate_judges_the_split_asked_for(session: SiteSession, split: SplitName, num_cases: int) -> None:
    reply = ask(session, Kind.EVALUATE, split=split)
    loss, _ = judged(session, initial_state(PLAN), split)
    assert reply.header.evaluation is not None
    assert reply.header.evaluation.split == split
    assert_about(reply.header.evaluation, loss, num_cases)
    assert reply.state is None


def test_alone_returns_the_test_evaluation_and_no_weights(session: SiteSession) -> None:
    reply = ask(session, Kind.ALONE)
    chosen = train_alone(
        session.model(PLAN),
        initial_state(PLAN),
        site="north",
        cases=session.cases(PLAN).splits,
        plan=PLAN,
        hardware=session.hardware,
    )
    loss, _ = judged(session, chosen, "test")
    assert loss != judged(session, initial_state(PLAN), "test")[0]
    assert reply.header.evaluation is not None
    assert reply.header.evaluation.split == "test"
    assert_about(reply.header.evaluation, loss, 4)
    assert reply.state is None
    assert reply.header.training is None


@pytest.mark.parametrize("kind", list(Kind))
def test_a_study_against_the_policy_is_refused(session: SiteSession, kind: Kind) -> None:
    split: SplitName | None = "test" if kind is Kind.EVALUATE else None
    assert failure_of(ask(session, kind, plan=PLAN.model_copy(update={"task": "rlvo"}), split=split)) == "FPE-604"


@pytest.mark.parametrize("kind", [Kind.DESCRIBE, Kind.TRAIN])
def test_a_cohort_that_is_not_preprocessed_is_too_small(session: SiteSession, kind: Kind) -> None:
    assert failure_of(ask(session, kind, plan=PLAN.model_copy(update={"recipe": "mnt-dl-mr"}))) == "FPE-202"


def test_a_recipe_that_this_version_lacks_is_named(session: SiteSession) -> None:
    assert failure_of(ask(session, Kind.DESCRIBE, plan=PLAN.model_copy(update={"recipe": "novel"}))) == "FPE-104"


@pytest.mark.parametrize("kind", [Kind.TRAIN, Kind.EVALUATE, Kind.ALONE])
def test_weights_of_another_network_are_refused(session: SiteSession, kind: Kind) -> None:
    split: SplitName | None = "test" if kind is Kind.EVALUATE else None
    wide = initial_state(PLAN.model_copy(update={"model": PLAN.model.model_copy(update={"base_width": 16})}))
    ours = initial_state(PLAN)
    turned = FlatState(Layout(ours.layout.entries[::-1]), ours.values)
    for state in (wide, turned):
        reply = handle(Request.about(kind, PLAN, state, split=split), session, no_progress)
        assert failure_of(reply) == "FPE-302"


def test_weights_that_are_not_finite_are_divergence(session: SiteSession) -> None:
    state = initial_state(PLAN)
    state.values[:] = np.nan
    assert failure_of(handle(Request.about(Kind.TRAIN, PLAN, state), session, no_progress)) == "FPE-401"


def test_a_case_that_became_unreadable_is_named_by_its_code_only(session: SiteSession) -> None:
    for case in session.cases(PLAN).splits.train.cases:
        case.file.write_bytes(b"not a case")
    reply = handle(Request.about(Kind.TRAIN, PLAN, initial_state(PLAN)), session, no_progress)
    assert failure_of(reply) == "FPE-212"
    assert b"safetensors" not in to_bytes(reply)


def test_an_unexpected_error_leaves_no_word_of_its_own(
    session: SiteSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_args: object, **_options: object) -> None:
        raise ZeroDivisionError("case Mustermann has no voxels")

    monkeypatch.setattr(handlers, "train_round", broken)
    reply = handle(Request.about(Kind.TRAIN, PLAN, initial_state(PLAN), round_number=1), session, no_progress)
    assert failure_of(reply) == "FPE-402"
    assert b"Mustermann" not in to_bytes(reply)
    assert "Mustermann" in caplog.text


def test_progress_reaches_the_caller(session: SiteSession) -> None:
    steps: list[tuple[str, int, int]] = []
    request = Request.about(Kind.TRAIN, PLAN, initial_state(PLAN), round_number=1)
    handle(request, session, lambda *step: steps.append(step))
    assert [step for step in steps if step[0] == "train"][-1] == ("train", 24, 24)
    assert {stage for stage, _, _ in steps} == {"evaluate", "train"}


PRIVATE = PLAN.model_validate(
    {
        **PLAN.model_dump(),
        "model": {"base_width": 8, "norm": "group"},
        "training": {"batch_size": 4, "balance_classes": False, "privacy": {"target_epsilon": 9.0}},
        "federation": {"rounds": 2, "min_sites": 1, "quorum": 1, "compare_with_local": False},
    }
)


def test_a_private_study_spends_its_epsilon_round_by_round_and_no_more(session: SiteSession) -> None:
    epsilons = []
    for round_number in (1, 2):
        reply = ask(session, Kind.TRAIN, plan=PRIVATE, round_number=round_number)
        assert reply.header.training is not None
        assert reply.header.training.epoch_losses == ()
        state = session.ledger.spent(PRIVATE.fingerprint())
        assert state is not None
        epsilons.append(epsilon(state, 1e-5))
    assert 0 < epsilons[0] < epsilons[1] <= 9
    assert epsilons[1] == pytest.approx(9, rel=0.02)
    # A restarted trainer remembers, and a third round is one too many.
    restarted = SiteSession(session.config)
    assert failure_of(ask(restarted, Kind.TRAIN, plan=PRIVATE, round_number=2)) == PrivacyBudgetSpent.code
    assert restarted.ledger.spent(PRIVATE.fingerprint()) == state


def test_a_private_study_gets_no_scores_of_training_cases(session: SiteSession) -> None:
    assert failure_of(ask(session, Kind.EVALUATE, plan=PRIVATE, split="train")) == "FPE-604"
    assert ask(session, Kind.EVALUATE, plan=PRIVATE, split="test").header.evaluation is not None


def test_a_private_study_gets_no_lone_training(session: SiteSession) -> None:
    assert failure_of(ask(session, Kind.ALONE, plan=PRIVATE)) == "FPE-604"
    assert session.ledger.spent(PRIVATE.fingerprint()) is None


def test_a_damaged_ledger_stops_a_private_round(session: SiteSession) -> None:
    session.ledger.record(PRIVATE.fingerprint(), {})
    (session.ledger.folder / f"{PRIVATE.fingerprint()}.json").write_text("{")
    assert failure_of(ask(session, Kind.TRAIN, plan=PRIVATE, round_number=1)) == "FPE-605"


def test_a_site_trains_with_clinical_columns(make_site: MakeSite) -> None:
    session = SiteSession(load_site(make_site(shape=(32, 32, 32), recipe="daft-ct-small")))
    model = {"name": "efficientnet-b0", "sequences": ["cta", "vessels"], "clinical": ["nihss", "age_years"]}
    plan = PLAN.model_validate({**PLAN.model_dump(), "recipe": "daft-ct-small", "model": model})
    reply = ask(session, Kind.TRAIN, plan=plan, round_number=1)
    assert reply.header.failure is None
    assert reply.state is not None
    assert np.abs(reply.state["daft.w1.weight"]).max() > 0


def test_a_killed_round_of_several_epochs_goes_on(session: SiteSession, caplog: pytest.LogCaptureFixture) -> None:
    class Killed(BaseException):
        """As abrupt as a signal."""

    def kill_in_the_second_epoch(stage: str, done: int, total: int) -> None:
        if stage == "train" and done > total / 3:
            raise Killed

    whole = ask(SiteSession(session.config), Kind.TRAIN, round_number=1)
    session.paths.round.unlink()
    with pytest.raises(Killed):
        handle(Request.about(Kind.TRAIN, PLAN, initial_state(PLAN), round_number=1), session, kill_in_the_second_epoch)
    caplog.set_level("INFO")
    resumed = ask(SiteSession(session.config), Kind.TRAIN, round_number=1)
    assert "goes on after epoch 1" in caplog.text
    assert whole.state is not None
    assert resumed.state is not None
    np.testing.assert_array_equal(resumed.state.values, whole.state.values)
