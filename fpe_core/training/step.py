"""One optimiser step: the only place where training changes weights."""

from collections.abc import Callable
from dataclasses import replace
from math import isfinite

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fpe_core.data.dataset import Sample
from fpe_core.errors import TrainingDiverged
from fpe_core.training.device import Precision, autocast, autocast_dtype, check_precision, compile_once
from fpe_core.training.hardware import Hardware
from fpe_core.training.micro_batches import MicroBatches, is_out_of_memory, release_memory

Objective = Callable[[Sample], Tensor]
"""The mean loss of a batch that is on the device, a scalar that gradients flow back from. Called under autocast; its
random draws should come from torch's own generators."""


class Stepper:
    """Does optimiser steps over whole batches, however few of their cases fit on the device at once.

    A batch goes through the network in micro-batches whose gradients add up to the batch's. When the device's memory
    does not suffice, the micro-batch is halved and the step done again from its start, with the same random draws and
    the same running statistics: it then ends as if it had begun with that size. In float16 the loss is scaled; a step
    whose gradients overflow is done again with half the scale, so that no batch is skipped.

    Batch normalisation takes its statistics over a micro-batch; a network without it computes the same with any size.

    Args:
        model: on `hardware.device`. Compiled in place if `hardware.compile`.
        optimiser: of the model's parameters.
        objective: what is made smaller; it calls `model`.
        hardware: the device, and the largest micro-batch to begin with.
        precision: see `TrainingPlan.precision`.
        smallest_micro_batch: fewest cases that the objective is called with.

    Raises:
        TrainingError: see `check_precision`.
    """

    def __init__(
        self,
        model: nn.Module,
        optimiser: Optimizer,
        objective: Objective,
        *,
        hardware: Hardware,
        precision: Precision,
        smallest_micro_batch: int = 1,
    ) -> None:
        check_precision(model, hardware.device, precision)
        if hardware.compile:
            compile_once(model)
        self.model = model
        self.optimiser = optimiser
        self.objective = objective
        self.device = hardware.device
        self.given = hardware
        self.precision = precision
        self.micro_batches = MicroBatches(hardware.micro_batch_size, smallest=smallest_micro_batch)
        scaled = autocast_dtype(self.device, precision) is torch.float16
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=scaled)

    @property
    def hardware(self) -> Hardware:
        """What was given, with the micro-batch that has proved to fit."""
        return replace(self.given, micro_batch_size=self.micro_batches.size)

    def step(self, batch: Sample) -> float:
        """One optimiser step over the whole batch; the model is in training mode already.

        Args:
            batch: B ≥ 1 cases, on any device.

        Returns:
            The mean loss over the batch, from before the step.

        Raises:
            TrainingDiverged: the loss, or in float16 a gradient at any scale, is not finite. The model is as before.
            TrainingError: the smallest micro-batch does not fit on the device. The model is as before.
        """
        start = _Start(self.model, self.device)
        while True:
            loss = self._gradients(batch, start)
            if self._stepped(start):
                return loss
            start.restore()

    def _gradients(self, batch: Sample, start: "_Start") -> float:
        """The batch's gradients in the parameters, by halves where the whole does not fit; returns the loss."""
        while (loss := self._accumulated(batch)) is None:
            # Outside the handler of the error, whose traceback would keep the tensors alive.
            start.restore()
            release_memory(self.device)
            self.micro_batches.halve(len(batch.label))
        if not isfinite(loss):
            start.restore()
            self.optimiser.zero_grad(set_to_none=True)
            raise TrainingDiverged(f"the loss should be finite, got {loss}")
        return loss

    def _accumulated(self, batch: Sample) -> float | None:
        """Gradients and loss of one attempt; None, and no gradients, where memory ran out."""
        self.optimiser.zero_grad(set_to_none=True)
        try:
            # Summed on the device: reading it after each micro-batch would make the processor wait each time.
            total = torch.zeros((), device=self.device)
            for part in self.micro_batches.split(batch):
                share = len(part.label) / len(batch.label)
                with autocast(self.device, self.precision):
                    loss = self.objective(part.to(self.device)) * share
                self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
            return float(total)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            self.optimiser.zero_grad(set_to_none=True)
            return None

    def _stepped(self, start: "_Start") -> bool:
        """Move the weights; False where scaled gradients overflowed, which leaves them and halves the scale."""
        scale = self.scaler.get_scale()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.scaler.get_scale() >= scale:
            return True
        if scale < 1:
            start.restore()
            self.optimiser.zero_grad(set_to_none=True)
            raise TrainingDiverged("the gradients should be finite in float16, but overflow at every loss scale")
        return False


class _Start:
    """What a step's forward pass changes besides gradients: random generators and running statistics."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.model = model
        self.cuda = device if device.type == "cuda" else None
        self.buffers = [buffer.clone() for buffer in model.buffers()]
        self.cpu_state = torch.get_rng_state()
        self.cuda_state = torch.cuda.get_rng_state(self.cuda) if self.cuda else None

    @torch.no_grad()
    def restore(self) -> None:
        for buffer, before in zip(self.model.buffers(), self.buffers, strict=True):
            buffer.copy_(before)
        torch.set_rng_state(self.cpu_state)
        if self.cuda_state is not None and self.cuda:
            torch.cuda.set_rng_state(self.cuda_state, self.cuda)
