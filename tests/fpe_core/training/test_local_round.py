"""One local round: reproducible, learning, stopping, refusing."""

import logging
from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fpe_core.config.study import StudyPlan
from fpe_core.data.dataset import CaseDataset, LabelledCase, Sample, SplitCases
from fpe_core.errors import NotEnoughCases, TrainingDiverged
from fpe_core.models import mnt_dl_released
from fpe_core.models.output import VolumeOutput
from fpe_core.models.planned import initial_state, planned_model
from fpe_core.models.state import read_state, write_state
from fpe_core.state import FlatState
from fpe_core.training import local_round
from fpe_core.training.hardware import Hardware
from fpe_core.training.local_round import RoundOutcome, train_round
from fpe_core.training.predict import Predictions, predict

CPU = Hardware(torch.device("cpu"))
Train = Callable[..., RoundOutcome]


@pytest.fixture
def train(plan: StudyPlan, splits: SplitCases) -> Train:
    """A round of a fresh network from the plan's first weights."""

    def run(
        seed: int = 1,
        *,
        cases: CaseDataset = splits.train,
        validation: CaseDataset = splits.validation,
        model: nn.Module | None = None,
        start: FlatState | None = None,
        hardware: Hardware = CPU,
        **changes: Any,
    ) -> Any:
        return train_round(
            model or planned_model(plan),
            start or initial_state(plan),
            train=cases,
            validation=validation,
            plan=plan.training.model_copy(update=changes),
            seed=seed,
            hardware=hardware,
        )

    return run


def test_one_seed_gives_one_result(train: Train) -> None:
    torch.manual_seed(1)
    first = train(seed=5)
    torch.manual_seed(2)
    second = train(seed=5)
    assert first.trained.values.tobytes() == second.trained.values.tobytes()
    assert first.summary.epoch_losses == second.summary.epoch_losses


def test_another_seed_gives_another_result(train: Train) -> None:
    assert not np.array_equal(train(seed=5).trained.values, train(seed=6).trained.values)


def test_a_used_network_trains_as_a_fresh_one_does(train: Train, plan: StudyPlan, splits: SplitCases) -> None:
    used = planned_model(plan)
    train(seed=9, model=used)
    assert train(seed=5, model=used).trained.values.tobytes() == train(seed=5).trained.values.tobytes()


def test_the_loss_goes_down_where_there_is_something_to_learn(
    train: Train, plan: StudyPlan, splits: SplitCases
) -> None:
    outcome = train(local_epochs=9, flip_left_right=False)
    assert outcome.summary.num_cases == 12
    assert outcome.summary.num_epochs == len(outcome.summary.epoch_losses)
    assert outcome.summary.epoch_losses[-1] < 0.7 * outcome.summary.epoch_losses[0]
    model = planned_model(plan)
    losses = []
    for state in (initial_state(plan), outcome.trained):
        write_state(model, state)
        result = predict(model, splits.test, plan=plan.training, hardware=CPU)
        losses.append(result.loss)
    assert losses[1] < 0.8 * losses[0]
    assert result.probabilities[:3].mean() > result.probabilities[3:].mean()


class ScriptedValidation:
    """Validation losses of a test's choice; keeps the weights that were judged."""

    def __init__(self, *losses: float) -> None:
        self.losses = list(losses)
        self.judged: list[FlatState] = []

    def __call__(self, model: nn.Module, *_cases: CaseDataset, **_options: object) -> Predictions:
        self.judged.append(read_state(model))
        return Predictions(np.zeros(0), np.zeros(0, dtype=np.int64), self.losses[len(self.judged) - 1])


@pytest.mark.parametrize(
    ("losses", "patience", "num_epochs", "best"),
    [
        ((3.0, 2.0, 2.5, 2.5, 1.0, 1.0), 2, 4, 1),
        ((3.0, 2.0, 2.5, 2.5, 1.0, 1.5), 3, 6, 4),
        ((1.0, 1.0, 1.0, 1.0, 1.0, 1.0), 1, 2, 0),
        ((6.0, 5.0, 4.0, 3.0, 2.0, 1.0), 1, 6, 5),
    ],
)
def test_a_round_stops_after_its_patience_and_returns_the_best_epoch(
    train: Train,
    monkeypatch: pytest.MonkeyPatch,
    losses: tuple[float, ...],
    patience: int,
    num_epochs: int,
    best: int,
) -> None:
    validation = ScriptedValidation(*losses)
    monkeypatch.setattr(local_round, "predict", validation)
    outcome = train(local_epochs=6, patience_epochs=patience)
    assert outcome.summary.num_epochs == len(validation.judged) == num_epochs
    assert outcome.trained.values.tobytes() == validation.judged[best].values.tobytes()
    weights = {state.values.tobytes() for state in validation.judged}
    assert len(weights) == num_epochs


def test_a_single_epoch_is_returned_unjudged(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    validation = ScriptedValidation()
    monkeypatch.setattr(local_round, "predict", validation)
    outcome = train(local_epochs=1)
    assert not validation.judged
    assert outcome.summary.num_epochs == 1


@pytest.mark.parametrize("label", [0, 1])
def test_training_needs_both_classes(train: Train, splits: SplitCases, label: int) -> None:
    one_sided = CaseDataset([case for case in splits.train.cases if case.label == label], splits.train.channels)
    with pytest.raises(NotEnoughCases):
        train(cases=one_sided)
    with pytest.raises(NotEnoughCases):
        train(cases=CaseDataset([], splits.train.channels))


class Spoilt(CaseDataset):
    """Cases of which one has a voxel that is not a number."""

    def __getitem__(self, index: int) -> Sample:
        image, label, tabular = super().__getitem__(index)
        if index == 4:
            image[1, 12, 8, 8] = torch.nan
        return Sample(image, label, tabular)


def test_a_voxel_that_is_not_a_number_stops_the_round(train: Train, splits: SplitCases) -> None:
    with pytest.raises(TrainingDiverged, match="finite"):
        train(cases=Spoilt(splits.train.cases, splits.train.channels))


def test_a_learning_rate_out_of_all_bounds_stops_the_round(train: Train) -> None:
    with pytest.raises(TrainingDiverged):
        train(learning_rate=1e30)


def test_the_rarer_class_counts_as_much_as_the_other(splits: SplitCases, train: Train) -> None:
    """With 2 positive and 6 negative cases the weight is 3: an undecided network's loss is then half as high again."""
    cases = CaseDataset([*splits.train.cases[:2], *splits.train.cases[6:]], splits.train.channels)
    still = {"learning_rate": 1e-12, "local_epochs": 1, "batch_size": 8}
    plain = train(cases=cases, balance_classes=False, **still).summary.epoch_losses[0]
    balanced = train(cases=cases, balance_classes=True, **still).summary.epoch_losses[0]
    assert balanced / plain == pytest.approx((2 * 3 + 6) / 8, rel=0.01)


def test_mirroring_turns_the_last_axis_of_some_cases_and_nothing_else() -> None:
    images = torch.arange(64 * 2 * 3 * 4 * 5, dtype=torch.float32).view(64, 2, 3, 4, 5)
    mirrored = local_round._mirrored(images.clone(), torch.Generator().manual_seed(1))
    turned = [bool(torch.equal(image, before.flip(-1))) for image, before in zip(mirrored, images, strict=True)]
    kept = [bool(torch.equal(image, before)) for image, before in zip(mirrored, images, strict=True)]
    assert all(one != other for one, other in zip(turned, kept, strict=True))
    assert 16 < sum(turned) < 48


def test_mirroring_follows_the_plan(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(images: Tensor, _generator: torch.Generator) -> Tensor:
        calls.append(len(images))
        return images

    monkeypatch.setattr(local_round, "_mirrored", counted)
    train(local_epochs=1, flip_left_right=False)
    assert not calls
    train(local_epochs=1, flip_left_right=True)
    assert sum(calls) == 12


class ClinicalVolume(nn.Module):
    """A network that is shown the image's mean and the clinical columns."""

    blocks: ClassVar[dict[str, str]] = {"head.": "head"}

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 1)
        nn.init.zeros_(self.head.weight)

    def forward(self, image: Tensor, tabular: Tensor) -> VolumeOutput:
        return VolumeOutput(self.head(torch.cat([0 * image.mean(dim=(1, 2, 3, 4))[:, None], tabular], dim=1)))


def test_a_network_learns_from_clinical_columns(plan: StudyPlan, splits: SplitCases) -> None:
    """The first column is the label, the second says nothing, and the image is out of play."""

    def with_columns(cases: CaseDataset) -> CaseDataset:
        rows = [LabelledCase(c.file, c.label, (float(c.label), 0.5)) for c in cases.cases]
        return CaseDataset(rows, cases.channels)

    model, training = ClinicalVolume(), plan.training.model_copy(update={"local_epochs": 20, "learning_rate": 0.1})
    start = read_state(model)
    cases = {"train": with_columns(splits.train), "validation": with_columns(splits.validation)}
    outcome = train_round(model, start, **cases, plan=training, seed=1, hardware=CPU)
    image, label, noise = outcome.trained["head.weight"][0]
    assert label > 1 > abs(noise)
    assert abs(image) < 1e-6
    write_state(model, outcome.trained)
    result = predict(model, with_columns(splits.test), plan=training, hardware=CPU)
    assert result.probabilities[:3].min() > result.probabilities[3:].max()


class Doubled(CaseDataset):
    """The cases in twice the pixels. Torch 2.13 on a CPU leaves bfloat16 weight gradients of convolutions with stride
    unset on maps of a single pixel, which the last stage has with images of 16."""

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        return sample._replace(image=sample.image.repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_trains_nearly_the_same(train: Train, splits: SplitCases, precision: str) -> None:
    cases = Doubled(splits.train.cases, splits.train.channels)
    full, half = (train(cases=cases, precision=chosen, local_epochs=1) for chosen in ("float32", precision))
    assert half.summary.epoch_losses[0] == pytest.approx(full.summary.epoch_losses[0], rel=0.05)
    assert half.trained.values.tobytes() != full.trained.values.tobytes()
    assert np.isfinite(half.trained.values).all()
    auto = train(cases=cases, precision="auto", local_epochs=1)
    assert full.trained.values.tobytes() == auto.trained.values.tobytes()


def test_processes_that_read_ahead_change_no_bit(train: Train) -> None:
    ahead = train(hardware=Hardware(CPU.device, num_workers=2), local_epochs=1)
    assert ahead.trained.values.tobytes() == train(local_epochs=1).trained.values.tobytes()
    assert 0 < ahead.waiting_share < 1


def test_without_batch_statistics_the_micro_batch_changes_rounding_only(
    train: Train, plan: StudyPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnt_dl_released, "DROPOUT", 0.0)
    grouped = plan.model_copy(update={"model": plan.model.model_copy(update={"norm": "group"})})
    start = initial_state(grouped)
    losses = {
        size: train(
            model=planned_model(grouped),
            start=start,
            hardware=Hardware(CPU.device, micro_batch_size=size),
            learning_rate=1e-3,
        ).summary.epoch_losses
        for size in (None, 4, 1)
    }
    assert losses[4] == pytest.approx(losses[None], rel=1e-3)
    assert losses[1] == pytest.approx(losses[None], rel=1e-3)


@pytest.mark.parametrize("changes", [{"optimiser": "adam"}, {"balanced_sampling": True, "balance_classes": False}])
def test_the_plans_other_ways_to_train_learn_too(train: Train, changes: dict[str, Any]) -> None:
    outcome = train(local_epochs=9, flip_left_right=False, weight_decay=1e-4, **changes)
    assert outcome.trained.values.tobytes() != train(local_epochs=9, flip_left_right=False).trained.values.tobytes()
    assert outcome.summary.epoch_losses[-1] < 0.8 * outcome.summary.epoch_losses[0]


def test_a_plateau_slows_the_round_down(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the third epoch on, after two that were no better, the weights move a hundredth as far."""
    losses = (1.0, 2.0, 2.0, 2.0)
    moves = {}
    for patience in (None, 0):
        validation = ScriptedValidation(*losses)
        monkeypatch.setattr(local_round, "predict", validation)
        train(local_epochs=4, weight_decay=0.0, plateau_patience_epochs=patience)
        states = [state["conv1.weight"] for state in validation.judged]
        moves[patience] = [np.abs(after - before).mean() for before, after in pairwise(states)]
    assert moves[0][0] == moves[None][0]
    assert moves[0][1] < 0.2 * moves[None][1]
    assert moves[0][2] < 0.02 * moves[None][2]


def test_waiting_is_a_share_and_told_in_the_log(train: Train, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        outcome = train()
    assert 0 < outcome.waiting_share < 1
    assert f"2 epochs; {100 * outcome.waiting_share:.0f} % of the time waited for cases" in caplog.text


def test_divergence_names_the_epoch(train: Train, splits: SplitCases) -> None:
    with pytest.raises(TrainingDiverged, match=r"the loss should be finite, got nan in epoch 1$"):
        train(cases=Spoilt(splits.train.cases, splits.train.channels))


def test_several_epochs_need_a_validation_case(train: Train, splits: SplitCases) -> None:
    nobody = CaseDataset([], splits.train.channels)
    with pytest.raises(NotEnoughCases, match="needs a validation case"):
        train(validation=nobody, local_epochs=2)
    assert train(validation=nobody, local_epochs=1).summary.num_epochs == 1
