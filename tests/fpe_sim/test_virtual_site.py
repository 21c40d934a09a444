"""A virtual site answers as a deployed one: the same handlers, the same gate."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from fpe_client.session import SiteSession
from fpe_core.config.study import StudyPlan
from fpe_core.models.planned import initial_state
from fpe_core.protocol import Kind, Request
from fpe_core.training.predict import no_progress
from fpe_sim import virtual_site
from fpe_sim.virtual_site import answer, session_of

PLAN = StudyPlan.model_validate(
    {
        "name": "small",
        "task": "fpe",
        "seed": 3,
        "recipe": "mnt-dl-mr-small",
        "model": {"base_width": 8},
        "training": {"batch_size": 6},
        "federation": {"min_sites": 1, "quorum": 1},
    }
)


@pytest.fixture
def session(make_site: Callable[..., Path]) -> Iterator[SiteSession]:
    yield session_of(make_site())
    session_of.cache_clear()


def test_a_session_is_kept_between_messages(session: SiteSession) -> None:
    assert session_of(session.config.data.cases.parent / "site.yaml") is session


def test_a_round_passes_the_gate_whole(session: SiteSession) -> None:
    state = initial_state(PLAN)
    reply = answer(Request.about(Kind.TRAIN, PLAN, state, round_number=1), session)
    assert reply.header.failure is None
    assert reply.header.evaluation is not None
    assert reply.header.evaluation.auc is not None
    assert reply.header.training is not None
    assert reply.header.training.epoch_losses
    assert reply.state is not None
    assert np.abs(reply.state.values).max() > 0


def test_the_policy_withholds_here_too(make_site: Callable[..., Path]) -> None:
    site_file = make_site("strict")
    site_file.write_text(site_file.read_text().replace("min_cases_per_class: 2", "min_cases_per_class: 3"))
    strict = session_of(site_file)
    reply = answer(Request.about(Kind.EVALUATE, PLAN, initial_state(PLAN), split="test"), strict)
    assert reply.header.evaluation is not None
    assert reply.header.evaluation.num_cases == 4
    withheld = (reply.header.evaluation.loss, reply.header.evaluation.auc, reply.header.evaluation.positive_scores)
    assert withheld == (None, None, None)
    session_of.cache_clear()


def test_crafted_weights_do_not_count_the_positives(make_site: Callable[..., Path]) -> None:
    """All weights zero but the last bias b: loss(b) - loss(-b) is b (n - 2 p) / n for p positives among n cases."""
    few = session_of(make_site("few", num_positive=3, num_negative=9))
    losses = {}
    for bias in (4.0, -4.0):
        crafted = initial_state(PLAN)
        crafted.values[:] = 0
        crafted["classifier.1.bias"][:] = bias
        request = Request.about(Kind.EVALUATE, PLAN, crafted, split="validation")
        before_the_gate = virtual_site.handle(request, few, no_progress).header.evaluation
        assert before_the_gate is not None
        assert before_the_gate.loss is not None
        losses[bias], num_cases = before_the_gate.loss, before_the_gate.num_cases
        reply = answer(request, few)
        assert reply.header.evaluation is not None
        told = reply.header.evaluation.model_dump(exclude_none=True)
        assert told == {"split": "validation", "num_cases": num_cases}
        trained = answer(Request.about(Kind.TRAIN, PLAN, crafted, round_number=1), few).header
        assert trained.evaluation is not None
        assert trained.evaluation.loss is None
        assert trained.training is not None
        assert (trained.training.epoch_losses, trained.training.num_positive) == ((), None)
    positives = num_cases * (1 - (losses[4.0] - losses[-4.0]) / 4.0) / 2
    assert positives == pytest.approx(1, abs=1e-3)
    session_of.cache_clear()


def test_a_reply_that_the_gate_stops_becomes_its_code(session: SiteSession, monkeypatch: pytest.MonkeyPatch) -> None:
    real = virtual_site.handle

    def leaks(*parts: object) -> object:
        reply = real(*parts)  # type: ignore[arg-type]
        reply.header = reply.header.model_copy(update={"round_number": 41})
        return reply

    monkeypatch.setattr(virtual_site, "handle", leaks)
    reply = answer(Request.about(Kind.TRAIN, PLAN, initial_state(PLAN), round_number=1), session)
    assert reply.header.failure is not None
    assert reply.header.failure.code == "FPE-510"
    assert (reply.state, reply.header.round_number) == (None, 1)
