"""ε against another library, and over rounds; the noise that a target asks for."""

import json
import logging

import dp_accounting
import pytest
from dp_accounting import pld, rdp
from hypothesis import given, settings
from hypothesis import strategies as st

from fpe_core.config.study import PrivacyPlan
from fpe_core.errors import CheckpointUnreadable, ConfigValueInvalid
from fpe_core.training.accountant import PrivacyAccountant, epsilon, noise_multiplier

DELTA = 1e-5


def state_of(*history: tuple[float, float, int]) -> dict[str, object]:
    return {"mechanism": "rdp", "history": [list(entry) for entry in history]}


def event(noise: float, sample_rate: float, num_steps: int) -> dp_accounting.DpEvent:
    step = dp_accounting.PoissonSampledDpEvent(sample_rate, dp_accounting.GaussianDpEvent(noise))
    return dp_accounting.SelfComposedDpEvent(step, num_steps)


# A site with 100 training cases and one with 24, at the published batch size; a small one whose batch is all it has.
STUDIES = [(1.0, 0.12, 80), (2.0, 0.12, 160), (8.0, 0.12, 400), (4.0, 0.5, 20), (1.0, 1.0, 10), (0.8, 0.01, 1000)]


@pytest.mark.parametrize("study", STUDIES)
def test_epsilon_is_another_accountants(study: tuple[float, float, int]) -> None:
    other = rdp.RdpAccountant().compose(event(*study))
    assert epsilon(state_of(study), DELTA) == pytest.approx(other.get_epsilon(DELTA), rel=0.01)


@pytest.mark.parametrize("study", STUDIES)
def test_epsilon_is_a_close_upper_bound_of_the_true_one(study: tuple[float, float, int]) -> None:
    true = pld.PLDAccountant().compose(event(*study)).get_epsilon(DELTA)
    assert true <= epsilon(state_of(study), DELTA) <= 1.25 * true


def test_rounds_of_unlike_noise_add_up_as_another_accountant_adds_them() -> None:
    other = rdp.RdpAccountant().compose(event(1.0, 0.1, 50)).compose(event(2.0, 0.2, 30))
    assert epsilon(state_of((1.0, 0.1, 50), (2.0, 0.2, 30)), DELTA) == pytest.approx(other.get_epsilon(DELTA), rel=0.01)


def test_two_rounds_are_one_twice_as_long() -> None:
    first = PrivacyAccountant()
    for _ in range(10):
        first.record(noise_multiplier=1.2, sample_rate=0.3)
    stored = json.loads(json.dumps(first.state()))
    second = PrivacyAccountant(stored)
    assert second.epsilon(DELTA) == first.epsilon(DELTA) > 0
    for _ in range(10):
        second.record(noise_multiplier=1.2, sample_rate=0.3)
    assert second.state() == state_of((1.2, 0.3, 20))
    assert second.epsilon(DELTA) == epsilon(state_of((1.2, 0.3, 20)), DELTA)
    assert first.state() == stored, "the state that was handed over is a copy"


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.floats(0.4, 20), st.floats(0.01, 1)), min_size=1, max_size=5))
def test_epsilon_never_falls(steps: list[tuple[float, float]]) -> None:
    accountant = PrivacyAccountant()
    spent = [accountant.epsilon(DELTA)]
    for noise, sample_rate in steps:
        ahead = accountant.epsilon_after(DELTA, noise_multiplier=noise, sample_rate=sample_rate, num_steps=1)
        accountant.record(noise_multiplier=noise, sample_rate=sample_rate)
        spent.append(accountant.epsilon(DELTA))
        assert ahead == pytest.approx(spent[-1])
    assert spent[0] == 0
    assert spent == sorted(spent)


@pytest.mark.parametrize("noise", [1e-9, 1e-3, 1e5])
def test_extreme_noise_has_an_epsilon_too(noise: float, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        spent = [epsilon(state_of((noise, sample_rate, 100)), DELTA) for sample_rate in (0.01, 0.5, 1.0)]
    assert all(value < 0.01 if noise > 1 else value > 1000 for value in spent)
    assert not caplog.records


@pytest.mark.parametrize("target", [0.1, 1.0, 8.0, 100.0])
@pytest.mark.parametrize("sample_rate", [0.05, 0.5, 1.0])
def test_a_target_is_reached_and_not_exceeded(target: float, sample_rate: float) -> None:
    noise = noise_multiplier(PrivacyPlan(target_epsilon=target), sample_rate=sample_rate, num_steps=200)
    assert 0.99 * target <= epsilon(state_of((noise, sample_rate, 200)), DELTA) <= target


def test_the_plans_own_noise_is_taken_as_it_is() -> None:
    assert noise_multiplier(PrivacyPlan(noise_multiplier=1.7), sample_rate=0.1, num_steps=10) == 1.7


def test_a_target_out_of_reach_is_refused() -> None:
    with pytest.raises(ConfigValueInvalid, match=r"reachable in 1000 steps at δ = 1e-05, but no noise gives 1e-05"):
        noise_multiplier(PrivacyPlan(target_epsilon=1e-5), sample_rate=1.0, num_steps=1000)


@pytest.mark.parametrize(
    "damaged",
    [
        {},
        {"mechanism": "prv", "history": []},
        {"mechanism": "rdp"},
        {"mechanism": "rdp", "history": [[1.0, 0.1]]},
        {"mechanism": "rdp", "history": [[-1.0, 0.1, 5]]},
        {"mechanism": "rdp", "history": [[1.0, 1.1, 5]]},
        {"mechanism": "rdp", "history": [[1.0, 0.1, 0]]},
        {"mechanism": "rdp", "history": [[float("inf"), 0.1, 1]]},
        {"mechanism": "rdp", "history": [[1.0, 0.1, 5]], "spent": 0},
    ],
)
def test_a_damaged_state_is_refused(damaged: dict[str, object]) -> None:
    with pytest.raises(CheckpointUnreadable, match="state should be mechanism and history"):
        PrivacyAccountant(damaged)
