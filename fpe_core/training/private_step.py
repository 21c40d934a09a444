"""One private optimiser step: each case's gradient clipped, the sum under noise (Abadi et al. 2016, algorithm 1)."""

from math import isfinite

import torch
from torch.optim import Optimizer

from fpe_core.config.study import PrivacyPlan
from fpe_core.data.dataset import Sample
from fpe_core.errors import TrainingDiverged, TrainingError
from fpe_core.training.device import Precision, autocast
from fpe_core.training.micro_batches import is_out_of_memory
from fpe_core.training.opacus_library import DPOptimizer
from fpe_core.training.secret_stream import SecretStream
from fpe_core.training.step import Objective


class PrivateStepper:
    """Does private optimiser steps, one case at a time.

    A gradient of one case's loss is the case's gradient, whatever the network does with its slices. Opacus clips it and
    adds it up; after the last case it adds the noise and divides by the expected number of cases.
    """

    def __init__(
        self, optimiser: "SecretNoiseOptimizer", objective: Objective, *, device: torch.device, precision: Precision
    ) -> None:
        self.optimiser = optimiser
        self.objective = objective
        self.device = device
        self.precision = precision

    def step(self, batch: Sample) -> float:
        """One optimiser step; with an empty batch it is noise alone. The model is in training mode already.

        Args:
            batch: B ≥ 0 cases, on any device.

        Returns:
            The mean loss over the batch, from before the step; 0 for an empty one. It is not private.

        Raises:
            TrainingDiverged: a loss or a gradient is not finite; the weights are as before.
            TrainingError: one case does not fit on the device.
        """
        self.optimiser.forget()
        total = 0.0
        for i in range(len(batch.label)):
            total += self._gradient(Sample(*(field[i : i + 1] for field in batch)).to(self.device))
            self.optimiser.add_case()
        self.optimiser.finish()
        return total / max(len(batch.label), 1)

    def _gradient(self, case: Sample) -> float:
        """The case's gradient in the parameters; returns its loss."""
        self.optimiser.zero_grad(set_to_none=True)
        try:
            with autocast(self.device, self.precision):
                loss = self.objective(case)
            loss.backward()  # type: ignore[no-untyped-call]
        except RuntimeError as err:
            if not is_out_of_memory(err):
                raise
            raise TrainingError(
                "the device's memory should hold one case, but does not",
                hint="use a device with more memory, let nothing else run on it, or plan a smaller network",
            ) from err
        value = float(loss.detach())
        if not isfinite(value):
            raise TrainingDiverged(f"the loss should be finite, got {value}")
        return value


class SecretNoiseOptimizer(DPOptimizer):  # type: ignore[misc]  # Opacus ships no types
    """Opacus' optimiser, fed with one case's gradient after the other, and with noise from a secret stream."""

    def __init__(
        self,
        optimiser: Optimizer,
        privacy: PrivacyPlan,
        *,
        noise_multiplier: float,
        expected_batch_size: int,
        stream: SecretStream,
    ) -> None:
        super().__init__(
            optimiser,
            noise_multiplier=noise_multiplier,
            max_grad_norm=privacy.max_grad_norm,
            expected_batch_size=expected_batch_size,
        )
        self.stream = stream

    def add_case(self) -> None:
        """Clip the gradient in the parameters, which is one case's, and add it to the sum."""
        for p in self.params:
            p.grad_sample = (torch.zeros_like(p) if p.grad is None else p.grad)[None]
        self.signal_skip_step(True)
        self.step()

    def finish(self) -> None:
        """Add the noise to the sum, also to one of no case, and move the weights."""
        self.zero_grad(set_to_none=True)
        for p in self.params:
            p.grad_sample = p.new_empty(0, *p.shape)
        self.step()
        self.forget()

    def forget(self) -> None:
        """Drop every gradient, also the sum of a step that was broken off."""
        self._is_last_step_skipped = False
        self.zero_grad(set_to_none=True)

    def add_noise(self) -> None:
        """Opacus calls this once the last case is in the sum.

        Added in float64 and then rounded, so that the noise has no gaps that would show what it was added to.

        Raises:
            TrainingDiverged: a gradient was not finite.
        """
        if not torch.nn.utils.get_total_norm([p.summed_grad for p in self.params]).isfinite():
            raise TrainingDiverged("the gradients should be finite, but one is not")
        std = self.noise_multiplier * self.max_grad_norm
        for p in self.params:
            noise = self.stream.normal(p.shape, p.device)
            # Laid out as the weight is, which fused optimisers rely on and Opacus' sum need not be.
            p.grad = torch.empty_like(p).copy_(p.summed_grad.double().add_(noise, alpha=std))
