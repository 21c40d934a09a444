"""A pre-training that stays on disk: what is done is kept, and it ends as if it had never been cut off."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fpe_core.config.pretraining import PretrainingPlan
from fpe_core.config.study import StudyPlan
from fpe_core.data.dataset import CaseDataset, LabelledCase
from fpe_core.errors import CheckpointUnreadable
from fpe_core.models.planned import initial_state
from fpe_sim.pretrained import Pretraining, load_pretrained, pretrain

SEQUENCES = ("dwi", "flair", "adc")


@pytest.fixture
def pretraining(make_site: Callable[..., Path]) -> Pretraining:
    """Two rounds on six small scans."""
    site = make_site(num_positive=3, num_negative=3, shape=(10, 16, 16))
    folder = site.parent / "state" / "preprocessed" / "mnt-dl-mr-small"
    study = StudyPlan.model_validate(
        {
            "name": "small",
            "task": "fpe",
            "seed": 3,
            "recipe": "mnt-dl-mr-small",
            "model": {"name": "mnt-dl", "base_width": 8, "num_slices": 10, "num_neighbourhoods": 2},
        }
    )
    plan = PretrainingPlan(batch_size=3, projector_width=16, projection_size=16, predictor_width=8)
    scans = CaseDataset([LabelledCase(folder / f"c{i}.safetensors", 0) for i in range(6)], SEQUENCES)
    return Pretraining(study, plan, num_rounds=2, scans=scans)


def test_a_pretraining_that_was_cut_off_ends_as_one_that_was_not(pretraining: Pretraining, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    pretrain(pretraining, whole, "cpu")
    assert load_pretrained(pretraining, parts) is None
    pretrain(replace(pretraining, num_rounds=1), parts, "cpu")
    halfway = load_pretrained(pretraining, parts)
    pretrain(pretraining, parts, "cpu")
    assert whole.read_bytes() == parts.read_bytes()
    assert halfway is not None
    assert (halfway.num_rounds, len(halfway.history.epoch_losses)) == (1, 1)
    finished = load_pretrained(pretraining, whole)
    assert finished is not None
    assert (finished.num_rounds, len(finished.history.epoch_ranks)) == (2, 2)
    assert not np.array_equal(halfway.weights.values, finished.weights.values)


def test_a_finished_pretraining_is_not_done_again(pretraining: Pretraining, tmp_path: Path) -> None:
    path = tmp_path / "pretraining.safetensors"
    pretrain(replace(pretraining, num_rounds=1), path, "cpu")
    before = path.stat().st_mtime_ns
    pretrain(replace(pretraining, num_rounds=1), path, "cpu")
    assert path.stat().st_mtime_ns == before
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_study_starts_with_the_pretrained_encoder_and_its_own_heads(pretraining: Pretraining, tmp_path: Path) -> None:
    path = tmp_path / "pretraining.safetensors"
    pretrain(replace(pretraining, num_rounds=1), path, "cpu")
    found = load_pretrained(pretraining, path)
    assert found is not None
    start, own = found.start(pretraining.study), initial_state(pretraining.study)
    for entry in own.layout.entries:
        if entry.block == "head":
            np.testing.assert_array_equal(start[entry.name], own[entry.name])
    stem = next(entry.name for entry in own.layout.entries if entry.block == "stem")
    np.testing.assert_array_equal(start[stem], found.weights[f"encoder.{stem}"])
    assert not np.array_equal(start[stem], own[stem])


def test_a_file_of_another_pretraining_or_a_damaged_one_is_refused(pretraining: Pretraining, tmp_path: Path) -> None:
    path = tmp_path / "pretraining.safetensors"
    pretrain(replace(pretraining, num_rounds=1), path, "cpu")
    fewer = CaseDataset(pretraining.scans.cases[1:], SEQUENCES)
    slower = pretraining.plan.model_copy(update={"learning_rate": 1e-4})
    for other in (replace(pretraining, scans=fewer), replace(pretraining, plan=slower)):
        with pytest.raises(CheckpointUnreadable, match="of another pre-training"):
            pretrain(other, path, "cpu")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointUnreadable, match="is damaged"):
        load_pretrained(pretraining, path)
