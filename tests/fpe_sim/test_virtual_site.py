"""A virtual site answers as a deployed one: the same handlers, the same gate."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from fpe_client.session import SiteSession
from fpe_core.config.study import StudyPlan
from fpe_core.models.planned import initial_state
from fpe_core.protocol import Kind, Request
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
    assert reply.state is not None
    assert np.abs(reply.state.values).max() > 0


def test_the_policy_withholds_here_too(make_site: Callable[..., Path]) -> None:
    site_file = make_site("strict")
    site_file.write_text(site_file.read_text().replace("min_cases_per_class: 2", "min_cases_per_class: 3"))
    strict = session_of(site_file)
    reply = answer(Request.about(Kind.EVALUATE, PLAN, initial_state(PLAN), split="test"), strict)
    assert reply.header.evaluation is not None
    assert reply.header.evaluation.num_cases == 4
    assert (reply.header.evaluation.auc, reply.header.evaluation.positive_scores) == (None, None)
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
