"""Differentially private training: DP-SGD by Opacus on networks that fold slices into the batch (Abadi et al. 2016).

What is guaranteed and what voids it is in `docs/private-training.md`; why it is built so in
`docs/decisions/0010-private-gradients-one-case-at-a-time.md`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from fpe_core.config.study import PrivacyPlan, TrainingPlan
from fpe_core.data.dataset import CaseDataset, Sample
from fpe_core.errors import (
    ConfigValueInvalid,
    ModelError,
    NotEnoughCases,
    PrivacyBudgetSpent,
    TrainingError,
)
from fpe_core.training.accountant import PrivacyAccountant, noise_multiplier
from fpe_core.training.device import autocast_dtype, check_precision, compile_once
from fpe_core.training.hardware import Hardware
from fpe_core.training.opacus_library import ModuleValidator, UnsupportedModuleError
from fpe_core.training.poisson import PoissonBatches, poisson_loader
from fpe_core.training.private_step import PrivateStepper, SecretNoiseOptimizer
from fpe_core.training.secret_stream import SecretStream
from fpe_core.training.step import Objective

__all__ = ["PrivateRound", "PrivateStepper", "check_private", "private_round_parts"]

_ROUNDING = 1e-6
"""Share of the budget by which the sum of rounds may exceed the study's ε in one piece."""


class PrivateRound(NamedTuple):
    """What a private round works with, in place of the plain loader and stepper."""

    loader: DataLoader[Sample]
    """Poisson batches; iterate it once for each epoch."""
    stepper: PrivateStepper
    accountant: PrivacyAccountant
    """Counts each step as it is done."""


def private_round_parts(
    model: nn.Module,
    optimiser: Optimizer,
    train: CaseDataset,
    plan: TrainingPlan,
    *,
    num_rounds: int,
    seed: int,
    noise_seed: int | None,
    hardware: Hardware,
    objective: Objective,
    accountant_state: Mapping[str, object] | None,
) -> PrivateRound:
    """Prepare one private round. Puts `model` into training mode and seeds torch's global generator in secret: the
    plan's seed, which the server knows, decides nothing that protects a case.

    Args:
        model: on `hardware.device`.
        optimiser: of its parameters; those that need no gradient are left alone.
        train: the N training cases.
        plan: with a privacy section.
        num_rounds: private rounds on these cases in the whole study, over which a target ε is spread.
        seed: the round's; tells the rounds of one `noise_seed` apart.
        noise_seed: None at a site. A number makes batches and noise repeatable, for simulations on phantoms; it then
            protects nobody.
        hardware: the device; cases go through the network one by one, whatever its micro-batch.
        objective: the loss of a batch, here of one case.
        accountant_state: what `accountant.state()` was after the round before; None before the first.

    Raises:
        NotEnoughCases: no training case.
        ModelError: a layer of `model` mixes cases.
        TrainingError: the precision comes out as float16, or would train wrongly (`check_precision`).
        PrivacyBudgetSpent: this round would exceed `target_epsilon`.
        ConfigValueInvalid: `target_epsilon` cannot be reached, or the plan has no privacy section.
        CheckpointUnreadable: `accountant_state` is damaged.
    """
    privacy = _checked(plan, hardware)
    check_private(model)
    check_precision(model, hardware.device, plan.precision)
    if len(train) == 0:
        raise NotEnoughCases("private training needs at least one case")
    torch.manual_seed(SecretStream.for_purpose(noise_seed, "dropout and flips", seed).seed())
    batch_size = min(plan.batch_size, len(train))
    sample_rate, steps_per_epoch = batch_size / len(train), len(train) // batch_size
    round_steps = plan.local_epochs * steps_per_epoch
    noise = noise_multiplier(privacy, sample_rate=sample_rate, num_steps=num_rounds * round_steps)
    accountant = PrivacyAccountant(accountant_state)
    _check_budget(accountant, privacy, noise, sample_rate, round_steps)
    private = SecretNoiseOptimizer(
        optimiser,
        privacy,
        noise_multiplier=noise,
        expected_batch_size=batch_size,
        stream=SecretStream.for_purpose(noise_seed, "noise", seed),
    )
    private.attach_step_hook(lambda _: accountant.record(noise_multiplier=noise, sample_rate=sample_rate))
    sampling = SecretStream.for_purpose(noise_seed, "sampling", seed)
    batches = PoissonBatches(len(train), sample_rate=sample_rate, num_steps=steps_per_epoch, stream=sampling)
    if hardware.compile:
        compile_once(model)
    return PrivateRound(
        poisson_loader(train, batches, hardware),
        PrivateStepper(private, objective, device=hardware.device, precision=plan.precision),
        accountant,
    )


def check_private(model: nn.Module) -> None:
    """Refuse networks in which one case's computation depends on another, or that store what they saw unprotected.

    Puts `model` into training mode. Opacus' own validation looks at layers with trainable weights only; a frozen batch
    normalisation, or one without weights, still gathers running statistics that would leave with the update.

    Raises:
        ModelError: names the layer.
    """
    hint = "set model.norm to group"
    for name, module in model.train().named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) or getattr(module, "track_running_stats", False):
            raise ModelError(
                f"private training needs layers that treat each case alone; {name} is {type(module).__name__}",
                hint=hint,
            )
    try:
        ModuleValidator.validate(model, strict=True)
    except UnsupportedModuleError as err:
        raise ModelError(f"private training cannot take this network: {err}", hint=hint) from err


def _checked(plan: TrainingPlan, hardware: Hardware) -> PrivacyPlan:
    if plan.privacy is None:
        raise ConfigValueInvalid("the plan should have a section training.privacy")
    if autocast_dtype(hardware.device, plan.precision) is torch.float16:
        raise TrainingError(
            "private training needs another precision than float16, which auto comes to on this GPU",
            hint="set training.precision to float32 in the plan, or train on a newer GPU",
        )
    return plan.privacy


def _check_budget(
    accountant: PrivacyAccountant, privacy: PrivacyPlan, noise: float, sample_rate: float, num_steps: int
) -> None:
    """The noise is right for the planned rounds on these cases; repeated rounds and other cases spend more."""
    target = privacy.target_epsilon
    if target is None:
        return
    after = accountant.epsilon_after(
        privacy.delta, noise_multiplier=noise, sample_rate=sample_rate, num_steps=num_steps
    )
    if after > target * (1 + _ROUNDING):
        raise PrivacyBudgetSpent(
            f"the study may spend ε = {target:g}, and would have spent {after:.3g} after this round",
            hint="rounds that were repeated, or cases that changed during the study, have used it up",
        )
