"""A round of self-supervised pre-training on a small hospital's scans."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fpe_core.config.pretraining import PretrainingPlan
from fpe_core.data.dataset import CaseDataset, LabelledCase, Sample
from fpe_core.errors import NotEnoughCases, TrainingDiverged
from fpe_core.models import build_model
from fpe_core.models.simsiam import SimSiam
from fpe_core.models.state import read_state
from fpe_core.models.transfer import transfer_encoder
from fpe_core.training.device import place
from fpe_core.training.hardware import Hardware
from fpe_core.training.pretraining import PretrainingOutcome, pretrain_round, two_views

MakeSite = Callable[..., Path]
CPU = torch.device("cpu")
PLAN = PretrainingPlan(batch_size=5, local_epochs=1, learning_rate=1e-3)


def simsiam(norm: str = "batch") -> SimSiam:
    torch.manual_seed(1)
    encoder = build_model("mnt-dl", in_channels=3, base_width=8, num_slices=25, norm=norm)  # type: ignore[arg-type]
    model = SimSiam(encoder, projector_width=32, projection_size=32, predictor_width=8)
    place(model, CPU)
    return model


@pytest.fixture
def scans(make_site: MakeSite) -> CaseDataset:
    folder = make_site(shape=(25, 32, 32)).parent / "state" / "preprocessed" / "mnt-dl-mr-small"
    return CaseDataset([LabelledCase(folder / f"c{i}.safetensors", 0) for i in range(11)], ("dwi", "flair", "adc"))


@pytest.fixture
def pretrain(scans: CaseDataset) -> Callable[..., PretrainingOutcome]:
    def run(model: SimSiam | None = None, *, seed: int = 4, cases: CaseDataset = scans, **changes: Any) -> Any:
        model = model or simsiam()
        micro = changes.pop("micro_batch_size", None)
        return pretrain_round(
            model,
            read_state(simsiam()),
            unlabelled=cases,
            plan=PLAN.model_copy(update=changes),
            seed=seed,
            hardware=Hardware(CPU, micro_batch_size=micro),
        )

    return run


Pretrain = Callable[..., PretrainingOutcome]


def test_training_lowers_the_loss_without_collapse(pretrain: Pretrain) -> None:
    outcome = pretrain(local_epochs=24, learning_rate=1e-2)
    assert len(outcome.epoch_losses) == len(outcome.epoch_spreads) == 24
    assert all(-1 <= loss <= 1 for loss in outcome.epoch_losses)
    assert np.mean(outcome.epoch_losses[-2:]) < np.mean(outcome.epoch_losses[:2]) - 0.3
    assert not outcome.collapsed
    assert min(outcome.epoch_spreads) > 0.5
    assert min(outcome.epoch_ranks) > 3
    assert 0 <= outcome.waiting_share <= 1


def test_the_same_seed_gives_the_same_weights(pretrain: Pretrain) -> None:
    first, again, other = pretrain(), pretrain(), pretrain(seed=5)
    np.testing.assert_array_equal(first.trained.values, again.trained.values)
    assert not np.array_equal(first.trained.values, other.trained.values)


def test_labels_are_not_looked_at(pretrain: Pretrain, scans: CaseDataset) -> None:
    relabelled = CaseDataset([LabelledCase(case.file, i % 2) for i, case in enumerate(scans.cases)], scans.channels)
    np.testing.assert_array_equal(pretrain().trained.values, pretrain(cases=relabelled).trained.values)


def test_encoder_projector_and_predictor_learn_and_heads_do_not(pretrain: Pretrain) -> None:
    before, after = read_state(simsiam()), pretrain().trained
    changed = {e.name for e in after.layout.entries if not np.array_equal(before[e.name], after[e.name])}
    assert {"encoder.encoder.conv1.weight", "projector.0.weight", "predictor.3.weight"} <= changed
    heads = {e.name for e in after.layout.entries if e.block == "head"}
    assert heads
    assert not heads & changed


def test_what_was_learned_moves_into_a_supervised_network(pretrain: Pretrain) -> None:
    outcome = pretrain()
    target = build_model("mnt-dl", in_channels=3, base_width=8, num_slices=25)
    transfer_encoder(outcome.trained, target)
    np.testing.assert_array_equal(
        read_state(target)["encoder.conv1.weight"], outcome.trained["encoder.encoder.conv1.weight"]
    )


def test_micro_batches_see_the_same_views(scans: CaseDataset) -> None:
    batch = Sample(*(torch.stack(field) for field in zip(*(scans[i] for i in range(4)), strict=True)))
    views = two_views(batch, PLAN, torch.Generator().manual_seed(3)).image
    assert views.shape == (4, 6, 25, 32, 32)
    first, second = views.chunk(2, dim=1)
    assert not torch.equal(first, second)
    again = two_views(batch, PLAN, torch.Generator().manual_seed(3)).image
    assert torch.equal(views, again)


def test_scans_that_do_not_fit_at_once_are_trained_in_parts(pretrain: Pretrain) -> None:
    """The views are the same; statistics over fewer scans and other dropout make the loss a little different."""
    whole, parts = pretrain(), pretrain(micro_batch_size=2)
    assert parts.epoch_losses[0] == pytest.approx(whole.epoch_losses[0], abs=0.15)
    assert not np.array_equal(whole.trained.values, parts.trained.values)


def test_a_single_last_scan_is_left_out(pretrain: Pretrain, scans: CaseDataset) -> None:
    """11 scans in batches of 5: the last has one, which has no second to be normalised with."""
    seen: list[int] = []
    pretrain_round(
        simsiam(),
        read_state(simsiam()),
        unlabelled=scans,
        plan=PLAN,
        seed=4,
        hardware=Hardware(CPU),
        progress=lambda _stage, done, _total: seen.append(done),
    )
    assert seen == [5, 10, 10]


def test_one_scan_is_refused(pretrain: Pretrain, scans: CaseDataset) -> None:
    with pytest.raises(NotEnoughCases, match="at least 2 scans, got 1"):
        pretrain(cases=CaseDataset(scans.cases[:1], scans.channels))


def test_a_scan_that_is_not_a_number_ends_in_an_error(pretrain: Pretrain, scans: CaseDataset) -> None:
    class Spoilt(CaseDataset):
        def __getitem__(self, index: int) -> Sample:
            sample = super().__getitem__(index)
            sample.image[0, 0, 0, 0] = torch.nan
            return sample

    with pytest.raises(TrainingDiverged, match="finite"):
        pretrain(cases=Spoilt(scans.cases, scans.channels))
