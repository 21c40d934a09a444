"""DP-SGD: what one case can change, the noise, and that a network over slices learns by it."""

import json
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from opacus.grad_sample import GradSampleModule
from scipy import stats
from torch import Tensor, nn

from fpe_core.config.study import PrivacyPlan, TrainingPlan
from fpe_core.data.dataset import CaseDataset, Sample, SplitCases
from fpe_core.errors import (
    ConfigValueInvalid,
    NotEnoughCases,
    PrivacyBudgetSpent,
    TrainingDiverged,
    TrainingError,
)
from fpe_core.models.factory import build_model
from fpe_core.training.hardware import Hardware
from fpe_core.training.losses import outcome_loss
from fpe_core.training.private import PrivateRound, private_round_parts
from fpe_core.training.step import Objective

CPU = torch.device("cpu")
NO_NOISE = 1e-9
CLIP = 3.0
BATCH = 4
Vector = NDArray[np.float64]


class Folded(nn.Module):
    """A network that folds the slices into the batch axis, as ours do, small and without dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.GroupNorm(4, 8), nn.ReLU())
        self.head = nn.Linear(8 * 25, 1)
        self.frozen = nn.Linear(3, 3).requires_grad_(False)
        self.unused = nn.Parameter(torch.ones(3))

    def forward(self, image: Tensor) -> Tensor:
        slices = image[:, :, :25].transpose(1, 2).flatten(0, 1)
        logits: Tensor = self.head(0.1 * self.encoder(slices).mean(dim=(2, 3)).view(len(image), -1))
        return logits.flatten()


def folded() -> Folded:
    """With logits far from zero: gradients longer than the clipping norm for some cases, shorter for others."""
    torch.manual_seed(1)
    model = Folded()
    nn.init.normal_(model.head.weight, std=3.0)
    return model


def objective_of(model: nn.Module) -> Objective:
    return lambda batch: F.binary_cross_entropy_with_logits(model(batch.image), batch.label)


def batch_of(num_cases: int, seed: int = 0) -> Sample:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(num_cases, 3, 25, 16, 16, generator=generator)
    images *= torch.linspace(0.5, 2, num_cases).view(-1, 1, 1, 1, 1)
    return Sample(images, (torch.arange(num_cases) % 2).float(), torch.empty(num_cases, 0))


def plan_of(*, local_epochs: int = 1, batch_size: int = BATCH, clip: float = CLIP, **noise: float) -> TrainingPlan:
    privacy = PrivacyPlan(max_grad_norm=clip, **(noise or {"noise_multiplier": NO_NOISE}))
    return TrainingPlan(local_epochs=local_epochs, batch_size=batch_size, balance_classes=False, privacy=privacy)


def parts(
    model: nn.Module,
    train: CaseDataset,
    plan: TrainingPlan,
    *,
    num_rounds: int = 1,
    seed: int = 0,
    noise_seed: int | None = 7,
    objective: Objective | None = None,
    state: Mapping[str, object] | None = None,
) -> PrivateRound:
    return private_round_parts(
        model,
        torch.optim.SGD(model.parameters(), lr=1.0),
        train,
        plan,
        num_rounds=num_rounds,
        seed=seed,
        noise_seed=noise_seed,
        hardware=Hardware(CPU),
        objective=objective or objective_of(model),
        accountant_state=state,
    )


def weights(model: nn.Module) -> Vector:
    return torch.cat([p.detach().double().flatten() for p in model.parameters()]).numpy()


def update(model: nn.Module, step: Callable[[], object]) -> Vector:
    """The negative change of the weights, which with SGD at rate 1 is the private gradient."""
    before = weights(model)
    step()
    return before - weights(model)


def clipped_sum(model: nn.Module, batch: Sample, objective: Objective) -> tuple[Vector, Vector]:
    """By hand: each case's gradient by ordinary differentiation, clipped and added in NumPy; and the lengths before."""
    total, norms = np.zeros(len(weights(model))), []
    for i in range(len(batch.label)):
        model.zero_grad(set_to_none=True)
        objective(Sample(*(field[i : i + 1] for field in batch))).backward()  # type: ignore[no-untyped-call]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
        gradient = torch.cat([g.double().flatten() for g in gradients]).numpy()
        norms.append(np.linalg.norm(gradient))
        total += gradient * min(1.0, CLIP / norms[-1])
    model.zero_grad(set_to_none=True)
    return total, np.array(norms)


def test_each_cases_gradient_is_clipped_as_one(splits: SplitCases) -> None:
    model, batch = folded(), batch_of(6)
    expected, norms = clipped_sum(model, batch, objective_of(model))
    assert (norms > CLIP).any()
    assert (norms < CLIP).any()
    stepper = parts(model, splits.train, plan_of()).stepper
    frozen = model.frozen.weight.clone()
    np.testing.assert_allclose(update(model, lambda: stepper.step(batch)), expected / BATCH, atol=1e-5 * CLIP)
    assert torch.equal(model.frozen.weight, frozen)


def test_a_real_network_over_slices_is_clipped_case_by_case(splits: SplitCases) -> None:
    torch.manual_seed(2)
    model = build_model("mnt-dl-released", in_channels=3, norm="group", base_width=8)

    def objective(batch: Sample) -> Tensor:
        return outcome_loss(model(batch.image), batch.label, subnet_weight=0.5, pos_weight=None)

    batch, stepper = batch_of(3), parts(model, splits.train, plan_of(), objective=objective).stepper
    torch.manual_seed(5)  # dropout
    expected, norms = clipped_sum(model, batch, objective)
    torch.manual_seed(5)
    assert (norms > CLIP).any()
    np.testing.assert_allclose(update(model, lambda: stepper.step(batch)), expected / BATCH, atol=1e-5 * CLIP)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")  # Opacus' hooks on the network's input
def test_opacus_hooks_would_take_slices_for_cases() -> None:
    model, batch = folded().requires_grad_(True), batch_of(2)
    model.unused.requires_grad_(False)
    hooked = GradSampleModule(model)
    objective_of(hooked)(batch).backward()  # type: ignore[no-untyped-call]
    assert len(model.head.weight.grad_sample) == 2
    assert len(model.encoder[0].weight.grad_sample) == 2 * 25


def test_the_loss_is_the_batchs_mean_from_before(splits: SplitCases) -> None:
    model, batch = folded(), batch_of(5)
    expected = float(objective_of(model)(batch).detach())
    assert parts(model, splits.train, plan_of()).stepper.step(batch) == pytest.approx(expected)


@pytest.mark.parametrize("loudness", [1.0, 1e4])
def test_one_case_changes_the_sum_by_at_most_twice_the_clipping_norm(splits: SplitCases, loudness: float) -> None:
    def summed(batch: Sample) -> Vector:
        model = folded()
        stepper = parts(model, splits.train, plan_of()).stepper
        return BATCH * update(model, lambda: stepper.step(batch))

    batch = batch_of(5)
    replaced = Sample(*(field.clone() for field in batch))
    replaced.image[2] = loudness * batch_of(5, seed=9).image[2]
    replaced.label[2] = 1 - replaced.label[2]
    fewer = Sample(*(field[:4] for field in batch))
    assert 0.01 * CLIP < np.linalg.norm(summed(batch) - summed(replaced)) <= 2 * CLIP * (1 + 1e-5)
    assert np.linalg.norm(summed(batch) - summed(fewer)) <= CLIP * (1 + 1e-5)


def test_the_noise_is_normal_and_as_strong_as_planned(splits: SplitCases) -> None:
    model = folded()
    nothing = batch_of(0)
    stepper = parts(model, splits.train, plan_of(noise_multiplier=2.0)).stepper
    steps = [update(model, lambda: stepper.step(nothing)) for _ in range(60)]
    trained = np.concatenate([np.full(p.numel(), p.requires_grad) for p in model.parameters()])
    noise = np.stack(steps)[:, trained]
    assert noise.size > 20_000
    std = 2.0 * CLIP / BATCH
    assert noise.std() == pytest.approx(std, rel=4 / (2 * noise.size) ** 0.5)
    assert stats.kstest(noise.flatten() / std, "norm").pvalue > 0.01
    assert abs((noise[1:] * noise[:-1]).mean()) < 4 * std**2 / noise.size**0.5, "steps are independent"


def test_noise_comes_on_top_of_the_clipped_sum(splits: SplitCases) -> None:
    def stepped(noise: float) -> Vector:
        model = folded()
        stepper = parts(model, splits.train, plan_of(noise_multiplier=noise)).stepper
        return update(model, lambda: stepper.step(batch_of(4)))

    one, two, none = stepped(0.5), stepped(1.0), stepped(NO_NOISE)
    np.testing.assert_allclose(two - none, 2 * (one - none), atol=1e-5)
    assert np.abs(two - none).max() > 0.1


def trained(splits: SplitCases, **seeds: int | None) -> Vector:
    model = folded()
    loader, stepper, _ = parts(model, splits.train, plan_of(noise_multiplier=1.0), **seeds)
    for batch in loader:
        stepper.step(batch)
    return weights(model)


def test_a_noise_seed_repeats_a_round_and_no_other(splits: SplitCases) -> None:
    first = trained(splits, noise_seed=7, seed=1)
    assert np.array_equal(first, trained(splits, noise_seed=7, seed=1))
    assert not np.array_equal(first, trained(splits, noise_seed=7, seed=2)), "another round, other noise"
    assert not np.array_equal(first, trained(splits, noise_seed=8, seed=1))


@pytest.mark.parametrize("draw", ["noise", "batches", "dropout"])
def test_rounds_of_one_noise_seed_share_no_draw(splits: SplitCases, draw: str) -> None:
    def drawn(seed: int) -> object:
        model = folded()
        loader, stepper, _ = parts(model, splits.train, plan_of(noise_multiplier=1.0), seed=seed)
        match draw:
            case "noise":
                return update(model, lambda: stepper.step(batch_of(0))).tolist()
            case "batches":
                return [batch.image.sum(dim=(1, 2, 3, 4)).tolist() for batch in loader]
            case _:
                return torch.rand(4).tolist()

    assert drawn(1) == drawn(1) != drawn(2)


def test_the_plans_seed_repeats_nothing_at_a_site(splits: SplitCases) -> None:
    def drawn() -> tuple[list[list[float]], float]:
        torch.manual_seed(1)  # as the round does with the plan's seed
        loader, _, _ = parts(folded(), splits.train, plan_of(local_epochs=1), noise_seed=None, seed=1)
        return [batch.image.sum(dim=(1, 2, 3, 4)).tolist() for _ in range(5) for batch in loader], float(torch.rand(()))

    (batches, dropout), (other_batches, other_dropout) = drawn(), drawn()
    assert batches != other_batches
    assert dropout != other_dropout
    assert not np.array_equal(trained(splits, noise_seed=None, seed=1), trained(splits, noise_seed=None, seed=1))


def run_round(
    splits: SplitCases, plan: TrainingPlan, num_rounds: int, state: Mapping[str, object] | None
) -> PrivateRound:
    made = parts(folded(), splits.train, plan, num_rounds=num_rounds, state=state)
    for _ in range(plan.local_epochs):
        for batch in made.loader:
            made.stepper.step(batch)
    return made


def test_rounds_spend_the_target_and_then_no_more(splits: SplitCases) -> None:
    plan = plan_of(local_epochs=2, target_epsilon=5.0)
    first = run_round(splits, plan, 2, None).accountant
    assert first.epsilon(1e-5) < 0.9 * 5
    state = json.loads(json.dumps(first.state()))
    second = run_round(splits, plan, 2, state).accountant
    assert 0.99 * 5 <= second.epsilon(1e-5) <= 5
    ((_, sample_rate, num_steps),) = second.state()["history"]  # type: ignore[misc]
    assert (sample_rate, num_steps) == (BATCH / 12, 2 * 2 * 3)
    with pytest.raises(PrivacyBudgetSpent, match=r"may spend ε = 5, and would have spent 6 after") as caught:
        run_round(splits, plan, 2, second.state())
    assert "repeated" in caught.value.hint


def test_a_batch_larger_than_the_site_is_all_of_it(splits: SplitCases) -> None:
    model = folded()
    loader, stepper, accountant = parts(model, splits.train, plan_of(batch_size=50))
    (batch,) = list(loader)
    assert len(batch.label) == 12
    expected, _ = clipped_sum(model, batch, objective_of(model))
    np.testing.assert_allclose(update(model, lambda: stepper.step(batch)), expected / 12, atol=1e-5 * CLIP)
    assert accountant.state()["history"] == [[NO_NOISE, 1.0, 1]]


def test_a_step_that_breaks_off_leaves_nothing_behind(splits: SplitCases) -> None:
    model = folded()
    stepper = parts(model, splits.train, plan_of()).stepper
    bad, good = batch_of(4), batch_of(4, seed=1)
    bad.image[1] = torch.nan
    expected, _ = clipped_sum(model, good, objective_of(model))
    before = weights(model)
    with pytest.raises(TrainingDiverged, match="the loss should be finite, got nan"):
        stepper.step(bad)
    assert np.array_equal(weights(model), before)
    np.testing.assert_allclose(update(model, lambda: stepper.step(good)), expected / BATCH, atol=1e-5 * CLIP)


def test_a_gradient_that_is_not_finite_moves_no_weight(splits: SplitCases) -> None:
    model = folded()

    def objective(batch: Sample) -> Tensor:
        return (model.head.bias.sum() - model.head.bias.detach().sum()).sqrt()

    made = parts(model, splits.train, plan_of(), objective=objective)
    before = weights(model)
    with pytest.raises(TrainingDiverged, match="gradients should be finite"):
        made.stepper.step(batch_of(2))
    assert np.array_equal(weights(model), before)
    assert made.accountant.epsilon(1e-5) == 0


def test_a_device_without_room_for_one_case_is_told(splits: SplitCases) -> None:
    def objective(batch: Sample) -> Tensor:
        raise torch.OutOfMemoryError

    with pytest.raises(TrainingError, match="should hold one case"):
        parts(folded(), splits.train, plan_of(), objective=objective).stepper.step(batch_of(2))


def test_plans_and_cases_that_do_not_fit_are_refused(splits: SplitCases) -> None:
    plan = plan_of()
    with pytest.raises(ConfigValueInvalid, match=r"a section training\.privacy"):
        parts(folded(), splits.train, plan.model_copy(update={"privacy": None}))
    with pytest.raises(TrainingError, match="another precision than float16"):
        parts(folded(), splits.train, plan.model_copy(update={"precision": "float16"}))
    with pytest.raises(NotEnoughCases, match="at least one case"):
        parts(folded(), CaseDataset([], ["dwi"]), plan)


@pytest.mark.parametrize("num_cases", [0, 3])
def test_the_memory_layout_of_weights_changes_nothing(splits: SplitCases, num_cases: int) -> None:
    # torch's fused optimisers go through a weight and its gradient in the order in which they lie in memory.
    def moved(memory_format: torch.memory_format) -> Vector:
        model = folded()
        model.encoder.to(memory_format=memory_format)  # type: ignore[call-overload]  # torch's stubs lack this form
        private = private_round_parts(
            model,
            torch.optim.Adam(model.parameters(), lr=0.1, fused=True),
            splits.train,
            plan_of(noise_multiplier=0.3),
            num_rounds=1,
            seed=0,
            noise_seed=7,
            hardware=Hardware(CPU),
            objective=objective_of(model),
            accountant_state=None,
        )
        private.stepper.step(batch_of(num_cases))
        return weights(model)

    np.testing.assert_allclose(moved(torch.channels_last), moved(torch.contiguous_format), atol=1e-4)


def test_a_network_over_slices_learns_with_little_noise(splits: SplitCases) -> None:
    model = folded()
    everything = Sample(*(torch.stack(fields) for fields in zip(*splits.train, strict=True)))

    def loss() -> float:
        return float(objective_of(model)(everything).detach())

    before = loss()
    loader, stepper, accountant = parts(model, splits.train, plan_of(noise_multiplier=0.3))
    for _ in range(20):
        for batch in loader:
            stepper.step(batch)
    assert loss() < 0.5 * before
    assert accountant.state()["history"] == [[0.3, BATCH / 12, 60]]
