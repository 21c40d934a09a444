"""How much privacy training has spent, and how much noise a budget asks for."""

import warnings
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from fpe_core.config.base import FrozenModel
from fpe_core.config.study import PrivacyPlan
from fpe_core.errors import CheckpointUnreadable, ConfigValueInvalid
from fpe_core.training.opacus_library import RDPAccountant, get_noise_multiplier

_ORDERS = [1.25, 1.5, 1.75, 2, 2.25, 2.5, 3, 3.5, 4, 4.5, *range(5, 64), 128, 256, 512, 1024]
"""Orders of the Rényi divergence that ε is minimised over. Most are whole: Opacus' own list of a hundred fractions
takes it up to a minute where the noise is large, for less than 1 % of ε."""
_TOLERANCE = 0.005
"""How far below the target, as a share of it, the noise for a target ε may end."""


class _State(FrozenModel):
    """The accountant's memory as it is stored between rounds."""

    mechanism: Literal["rdp"]
    history: tuple[
        tuple[
            Annotated[float, Field(gt=0, allow_inf_nan=False)],
            Annotated[float, Field(gt=0, le=1)],
            Annotated[int, Field(ge=1)],
        ],
        ...,
    ]
    """Noise multiplier, sample rate, number of steps."""


class PrivacyAccountant:
    """Adds up the steps of DP-SGD over the rounds of a study, by Rényi differential privacy (Mironov, CSF 2017; with
    Poisson sampling Mironov, Talwar and Zhang 2019), computed by Opacus.

    Args:
        state: what `state` gave after the round before; None before the first.

    Raises:
        CheckpointUnreadable: `state` is not of that form.
    """

    def __init__(self, state: Mapping[str, object] | None = None) -> None:
        self._accountant = RDPAccountant()
        if state is not None:
            try:
                self._accountant.history = list(_State.model_validate(state).history)
            except ValidationError as err:
                raise CheckpointUnreadable(
                    f"the privacy accountant's state should be mechanism and history, got {sorted(state)}: {err}",
                    hint="without it nobody knows what the study has spent; restore the file from a backup",
                ) from err

    def record(self, *, noise_multiplier: float, sample_rate: float) -> None:
        """Count one step."""
        self._accountant.step(noise_multiplier=noise_multiplier, sample_rate=sample_rate)

    def epsilon(self, delta: float) -> float:
        """ε of all steps so far at δ = `delta`; 0 before the first. An upper bound: the true ε is a little smaller."""
        return _epsilon(self._accountant, delta)

    def epsilon_after(self, delta: float, *, noise_multiplier: float, sample_rate: float, num_steps: int) -> float:
        """What `epsilon` would be after `num_steps` more steps."""
        ahead = RDPAccountant()
        ahead.history = [*self._accountant.history, (noise_multiplier, sample_rate, num_steps)]
        return _epsilon(ahead, delta)

    def state(self) -> dict[str, object]:
        """The memory as JSON can hold it, for the next round's accountant."""
        return {"mechanism": "rdp", "history": [list(entry) for entry in self._accountant.history]}


def epsilon(state: Mapping[str, object], delta: float) -> float:
    """ε at δ = `delta` of all steps in a stored state, see `PrivacyAccountant`."""
    return PrivacyAccountant(state).epsilon(delta)


def noise_multiplier(plan: PrivacyPlan, *, sample_rate: float, num_steps: int) -> float:
    """Standard deviation of the noise as a multiple of `max_grad_norm`.

    Args:
        plan: says it outright, or as an ε for the whole study.
        sample_rate: probability that a case is in a batch, (0, 1].
        num_steps: optimiser steps of the whole study.

    Returns:
        The plan's own; or one whose ε after `num_steps` is at most 0.5 % below `target_epsilon`, and never above.

    Raises:
        ConfigValueInvalid: no amount of noise reaches `target_epsilon`.
    """
    if plan.noise_multiplier is not None:
        return plan.noise_multiplier
    target = plan.target_epsilon or 0.0
    try:
        with warnings.catch_warnings():
            _allow_extreme_order()
            found: float = get_noise_multiplier(
                target_epsilon=target,
                target_delta=plan.delta,
                sample_rate=sample_rate,
                steps=num_steps,
                accountant="rdp",
                epsilon_tolerance=_TOLERANCE * target,
                alphas=_ORDERS,
            )
    except ValueError as err:
        raise ConfigValueInvalid(
            f"training.privacy.target_epsilon should be reachable in {num_steps} steps at δ = {plan.delta:g}, "
            f"but no noise gives {target:g}",
            hint="a larger target_epsilon or delta, or fewer rounds",
        ) from err
    return found


def _epsilon(accountant: RDPAccountant, delta: float) -> float:
    with warnings.catch_warnings():
        _allow_extreme_order()
        return max(0.0, float(accountant.get_epsilon(delta, alphas=_ORDERS)))


def _allow_extreme_order() -> None:
    # With next to no noise, or very much, the best order lies outside the list; the one at its end is valid too.
    warnings.filterwarnings("ignore", "Optimal order is the", UserWarning)
