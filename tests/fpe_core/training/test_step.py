"""One optimiser step: the same whatever fits on the device, whole or not at all."""

import logging
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fpe_core.data.dataset import Sample
from fpe_core.errors import TrainingDiverged, TrainingError
from fpe_core.training.device import Precision
from fpe_core.training.hardware import Hardware
from fpe_core.training.micro_batches import MicroBatches, is_out_of_memory
from fpe_core.training.step import Objective, Stepper

CPU = torch.device("cpu")
States = dict[str, Tensor]


def batch_of(num_cases: int, seed: int = 0) -> Sample:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(num_cases, 3, 4, 8, 8, generator=generator)
    return Sample(images, (torch.arange(num_cases) % 2).float(), torch.randn(num_cases, 2, generator=generator))


class OverSlices(nn.Conv2d):
    """A convolution that sees slices as channels."""

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image.flatten(1, 2))


def network(*, norm: bool = False, dropout: bool = False) -> nn.Module:
    torch.manual_seed(1)
    layers: list[nn.Module] = [OverSlices(12, 6, 3)]
    layers += [nn.BatchNorm2d(6)] if norm else []
    layers += [nn.ReLU(), nn.Flatten()]
    layers += [nn.Dropout(0.5)] if dropout else []
    return nn.Sequential(*layers, nn.Linear(6 * 6 * 6, 1))


def objective_of(model: nn.Module) -> Objective:
    def objective(batch: Sample) -> Tensor:
        # The clinical columns take part, so that a part of them that went to the wrong images would show.
        logits = model(batch.image).flatten() + batch.tabular.sum(dim=1)
        return F.binary_cross_entropy_with_logits(logits, batch.label)

    return objective


def stepper_of(
    model: nn.Module,
    *,
    micro: int | None = None,
    precision: Precision = "float32",
    smallest: int = 1,
    wrap: Callable[[Objective], Objective] = lambda objective: objective,
) -> Stepper:
    return Stepper(
        model.train(),
        torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        wrap(objective_of(model)),
        hardware=Hardware(CPU, micro_batch_size=micro),
        precision=precision,
        smallest_micro_batch=smallest,
    )


class SmallMemory:
    """An objective on a device that holds so many cases, and runs out at one call more; the network has seen the cases
    by then."""

    def __init__(self, objective: Objective, num_cases: int, also_at: int | None = None) -> None:
        self.objective = objective
        self.num_cases = num_cases
        self.also_at = also_at
        self.sizes: list[int] = []

    def __call__(self, batch: Sample) -> Tensor:
        self.sizes.append(len(batch.label))
        loss = self.objective(batch)
        if len(batch.label) > self.num_cases or len(self.sizes) == self.also_at:
            raise torch.OutOfMemoryError
        return loss


def small_memory(num_cases: int, also_at: int | None = None) -> Callable[[Objective], SmallMemory]:
    return lambda objective: SmallMemory(objective, num_cases, also_at)


def copied(model: nn.Module) -> States:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: States, other: States) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize("micro", [1, 2, 3, 5, 12, 40])
def test_micro_batches_add_up_to_the_batch(micro: int) -> None:
    whole, parts = network(), network()
    steps = stepper_of(whole), stepper_of(parts, micro=micro)
    for seed in range(3):
        losses = [stepper.step(batch_of(12, seed)) for stepper in steps]
        assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], tensor, rtol=1e-5, atol=1e-6)


def test_a_step_is_the_gradient_of_the_batchs_mean_loss() -> None:
    model, expected = network(), network()
    batch = batch_of(5)
    loss = stepper_of(model, micro=2).step(batch)
    mean = objective_of(expected)(batch)
    mean.backward()
    assert loss == pytest.approx(mean.item(), rel=1e-6)
    for moved, parameter in zip(model.parameters(), expected.parameters(), strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(moved, parameter - 0.1 * parameter.grad, rtol=1e-5, atol=1e-6)


def test_what_does_not_fit_ends_as_if_it_had_begun_smaller() -> None:
    """Dropout's draws, running statistics and gradients of the attempts that failed leave nothing behind."""
    cramped, small = network(norm=True, dropout=True), network(norm=True, dropout=True)
    torch.manual_seed(5)
    stepper = stepper_of(cramped, wrap=small_memory(4, also_at=4))
    losses = [stepper.step(batch_of(12, seed)) for seed in range(3)]
    assert isinstance(stepper.objective, SmallMemory)
    # The second part of three cases is the one that failed.
    assert stepper.objective.sizes == [12, 6, 3, 3, *[1] * 36]
    torch.manual_seed(5)
    reference = stepper_of(small, micro=1)
    assert [reference.step(batch_of(12, seed)) for seed in range(3)] == losses
    assert same(copied(cramped), copied(small))


def test_the_size_that_fits_is_remembered_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    stepper = stepper_of(network(), wrap=small_memory(6))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            stepper.step(batch_of(12))
    assert isinstance(stepper.objective, SmallMemory)
    assert stepper.objective.sizes == [12, 6, 6, 6, 6, 6, 6]
    message = "12 cases do not fit on the device: 6 at once from now on"
    assert [record.message for record in caplog.records] == [message]


def test_a_case_that_does_not_fit_alone_is_an_error_and_moves_nothing() -> None:
    model = network(norm=True)
    before = copied(model)
    stepper = stepper_of(model, wrap=small_memory(0))
    with pytest.raises(TrainingError, match=r"hold 1 case\(s\) at once") as caught:
        stepper.step(batch_of(6))
    assert "more memory" in caught.value.hint
    assert same(copied(model), before)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_no_part_is_smaller_than_the_smallest() -> None:
    stepper = stepper_of(network(), smallest=2, wrap=small_memory(2))
    with pytest.raises(TrainingError, match=r"hold 3 case\(s\)"):
        stepper.step(batch_of(7))
    assert isinstance(stepper.objective, SmallMemory)
    assert min(stepper.objective.sizes) >= 2


@pytest.mark.parametrize(
    ("num_cases", "size", "smallest", "sizes"),
    [
        (12, None, 1, [12]),
        (12, 12, 1, [12]),
        (13, 6, 1, [5, 4, 4]),
        (13, 6, 4, [5, 4, 4]),
        (5, 2, 2, [3, 2]),
        (3, 2, 2, [3]),
        (1, 4, 2, [1]),
        (4, 1, 1, [1, 1, 1, 1]),
    ],
)
def test_parts_are_equal_and_keep_the_order(num_cases: int, size: int, smallest: int, sizes: list[int]) -> None:
    batch = batch_of(num_cases)
    parts = list(MicroBatches(size, smallest=smallest).split(batch))
    assert [len(part.label) for part in parts] == sizes
    for position, tensor in enumerate(batch):
        assert torch.equal(torch.cat([part[position] for part in parts]), tensor)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("spoilt", [0, 5])
def test_a_loss_that_is_not_finite_moves_nothing(precision: Precision, spoilt: int) -> None:
    model = network(norm=True)
    before = copied(model)
    stepper = stepper_of(model, micro=2, precision=precision)
    batch = batch_of(6)
    batch.image[spoilt, 0, 0, 0, 0] = torch.inf
    with pytest.raises(TrainingDiverged, match="the loss should be finite, got"):
        stepper.step(batch)
    assert same(copied(model), before)
    assert all(parameter.grad is None for parameter in model.parameters())
    stepper.step(batch_of(6))
    assert not same(copied(model), before)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_computes_nearly_the_same(precision: Precision) -> None:
    whole, half = network(), network()
    dtypes: list[torch.dtype] = []
    half[0].register_forward_hook(lambda _module, _input, output: dtypes.append(output.dtype))
    steps = stepper_of(whole), stepper_of(half, micro=6, precision=precision)
    for seed in range(4):
        losses = [stepper.step(batch_of(12, seed)) for stepper in steps]
        assert losses[1] == pytest.approx(losses[0], rel=0.02)
        assert losses[1] != losses[0]
    assert set(dtypes) == {getattr(torch, precision)}
    assert {tensor.dtype for tensor in half.state_dict().values()} == {torch.float32}


def test_a_float16_step_that_overflows_is_done_again_with_a_smaller_scale() -> None:
    model = network(norm=True, dropout=True)
    stepper = stepper_of(model, precision="float16", wrap=lambda objective: lambda batch: 50 * objective(batch))
    stepper.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**30)
    before = copied(model)
    stepper.step(batch_of(12))
    assert stepper.scaler.get_scale() < 2.0**30
    assert not torch.equal(model[0].weight, before["0.weight"])
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())
    assert model[1].num_batches_tracked == 1


def test_memory_that_ran_out_below_torch_is_recognised() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("out"))
    assert is_out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))
    assert not is_out_of_memory(RuntimeError("shapes cannot be multiplied"))
