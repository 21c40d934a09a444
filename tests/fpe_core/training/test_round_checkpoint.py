"""A round that was cut off goes on where it was, and ends with the same bits."""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fpe_core.config.study import StudyPlan
from fpe_core.data.dataset import CaseDataset, SplitCases
from fpe_core.models.planned import initial_state, planned_model
from fpe_core.models.state import read_state, write_state
from fpe_core.training.device import place
from fpe_core.training.hardware import Hardware
from fpe_core.training.loader import ordered_batches
from fpe_core.training.local_round import RoundOutcome, train_round
from fpe_core.training.predict import Progress, no_progress
from fpe_core.training.round_checkpoint import History, Resumable, RoundCheckpoint
from fpe_core.training.round_engine import plain_engine

CPU = Hardware(torch.device("cpu"))
Train = Callable[..., RoundOutcome]


class Killed(Exception):
    """The end of a training process."""


def killed_in_epoch(epoch: int, num_cases: int = 12) -> Progress:
    def progress(_stage: str, done: int, _total: int) -> None:
        if done > (epoch - 1) * num_cases:
            raise Killed

    return progress


@pytest.fixture
def train(plan: StudyPlan, splits: SplitCases, tmp_path: Path) -> Train:
    """A round of five epochs of a fresh network, with the checkpoint `round.safetensors`."""

    def run(
        *,
        seed: int = 1,
        checkpoint: Path | None = tmp_path / "round.safetensors",
        progress: Progress = no_progress,
        cases: CaseDataset = splits.train,
        hardware: Hardware = CPU,
        **changes: Any,
    ) -> RoundOutcome:
        # Whatever the process drew before must not matter.
        torch.manual_seed(int.from_bytes(os.urandom(4), "big"))
        return train_round(
            place(planned_model(plan), hardware.device),
            initial_state(plan),
            train=cases,
            validation=splits.validation,
            plan=plan.training.model_copy(update={"local_epochs": 5, **changes}),
            seed=seed,
            hardware=hardware,
            progress=progress,
            checkpoint=checkpoint,
        )

    return run


def assert_same(one: RoundOutcome, other: RoundOutcome) -> None:
    assert one.trained.values.tobytes() == other.trained.values.tobytes()
    assert one.summary.epoch_losses == other.summary.epoch_losses


ADAM_ON_A_PLATEAU = {
    "optimiser": "adam",
    "learning_rate": 0.1,
    "plateau_patience_epochs": 0,
    "balance_classes": False,
    "balanced_sampling": True,
}


@pytest.mark.parametrize(
    ("epoch", "changes"),
    [(1, {}), (3, {}), (5, {}), (3, ADAM_ON_A_PLATEAU), (3, {"precision": "float16"})],
)
def test_a_killed_round_ends_as_an_undisturbed_one(train: Train, epoch: int, changes: dict[str, Any]) -> None:
    undisturbed = train(checkpoint=None, **changes)
    with pytest.raises(Killed):
        train(progress=killed_in_epoch(epoch), **changes)
    steps: list[int] = []
    resumed = train(progress=lambda _stage, done, _total: steps.append(done), **changes)
    assert_same(resumed, undisturbed)
    assert min(steps) == (epoch - 1) * 12 + 6


def test_the_scale_of_float16_losses_is_kept(plan: StudyPlan, splits: SplitCases, tmp_path: Path) -> None:
    half = plan.training.model_copy(update={"precision": "float16"})
    start = initial_state(plan)

    def book() -> RoundCheckpoint:
        model = planned_model(plan)
        write_state(model, start)
        engine = plain_engine(model.train(), splits.train, half, seed=1, hardware=CPU)
        parts = Resumable(model, engine.stepper, engine.schedule, engine.shuffle)
        return RoundCheckpoint(tmp_path / "round.safetensors", "k", parts)

    first, second = book(), book()
    first.parts.stepper.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**9)
    first.parts.stepper.step(next(iter(ordered_batches(splits.train, batch_size=6, hardware=CPU))))
    first.save(History(start, epoch_losses=[1.0], best_loss=1.0), finished=False)
    second.resume(start)
    assert second.parts.stepper.scaler.get_scale() == 2.0**9
    assert read_state(second.parts.model).values.tobytes() == read_state(first.parts.model).values.tobytes()


def test_a_round_may_be_killed_again_and_again(train: Train) -> None:
    for epoch in (2, 3, 3, 5):
        with pytest.raises(Killed):
            train(progress=killed_in_epoch(epoch))
    assert_same(train(), train(checkpoint=None))


def test_early_stopping_counts_across_the_kill(train: Train) -> None:
    changes = {"local_epochs": 12, "patience_epochs": 2, "learning_rate": 0.1}
    undisturbed = train(checkpoint=None, **changes)
    assert 3 <= undisturbed.summary.num_epochs < 12
    with pytest.raises(Killed):
        train(progress=killed_in_epoch(undisturbed.summary.num_epochs), **changes)
    assert_same(train(**changes), undisturbed)


def test_a_round_that_was_over_is_not_trained_again(train: Train) -> None:
    steps: list[int] = []
    first = train()
    again = train(progress=lambda _stage, done, _total: steps.append(done))
    assert not steps
    assert_same(again, first)
    assert again.summary.training_s >= first.summary.training_s
    assert again.waiting_share == 0.0


def test_the_micro_batch_that_fitted_is_remembered(train: Train, tmp_path: Path) -> None:
    small = Hardware(CPU.device, micro_batch_size=2)
    with pytest.raises(Killed):
        train(progress=killed_in_epoch(2), hardware=small)
    assert_same(train(), train(checkpoint=None, hardware=small))


def test_the_next_round_begins_without_a_warning(train: Train, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        train()
        train(seed=2)
    assert not caplog.text


@pytest.mark.parametrize("change", [{"seed": 2}, {"learning_rate": 0.02}, {"local_epochs": 6}])
def test_a_checkpoint_of_another_round_is_left_aside(
    train: Train, change: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Killed):
        train(progress=killed_in_epoch(3))
    with caplog.at_level(logging.WARNING):
        other = train(**change)
    assert "another plan, model, seed, device or of other cases: the round begins anew" in caplog.text
    assert_same(other, train(checkpoint=None, **change))


def test_a_checkpoint_of_other_cases_is_left_aside(
    train: Train, splits: SplitCases, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Killed):
        train(progress=killed_in_epoch(3))
    fewer = CaseDataset(splits.train.cases[1:], splits.train.channels)
    assert_same(train(cases=fewer), train(cases=fewer, checkpoint=None))
    with pytest.raises(Killed):
        train(progress=killed_in_epoch(3))
    caplog.clear()
    os.utime(splits.train.cases[0].file, ns=(1, 1))
    with caplog.at_level(logging.WARNING):
        train()
    assert caplog.text.count("the round begins anew") == 1


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other"])
def test_a_damaged_checkpoint_is_left_aside(
    train: Train, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "round.safetensors"
    with pytest.raises(Killed):
        train(progress=killed_in_epoch(3))
    content = file.read_bytes()
    other = next(tmp_path.rglob("c0.safetensors")).read_bytes()
    file.write_bytes({"cut": content[:-100], "empty": b"", "text": b"no tensors", "other": other}[damage])
    with caplog.at_level(logging.WARNING):
        resumed = train()
    assert "is damaged" in caplog.text
    assert_same(resumed, train(checkpoint=None))


def test_a_checkpoint_is_closed_and_holds_tensors_and_json_only(train: Train, tmp_path: Path) -> None:
    train(local_epochs=2)
    file = tmp_path / "round.safetensors"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [file.name]
    content = file.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    metadata = json.loads(header["__metadata__"]["round"])
    assert set(metadata) == {
        "key",
        "finished",
        "best_loss",
        "best_epoch",
        "epoch_losses",
        "training_s",
        "learning_rate",
        "micro_batch_size",
        "schedule",
        "loss_scale",
    }
    # No case and no path, only a digest of them.
    assert b"c0" not in content[: 8 + int.from_bytes(content[:8], "little")].replace(metadata["key"].encode(), b"")


PROGRAM = """
import os, signal, sys
from pathlib import Path
import torch
from fpe_core.config.study import StudyPlan
from fpe_core.data.dataset import CaseDataset, LabelledCase
from fpe_core.models.planned import initial_state, planned_model
from fpe_core.training.hardware import Hardware
from fpe_core.training.local_round import train_round

folder, plan, kill_at = Path(sys.argv[1]), StudyPlan.model_validate_json(sys.argv[2]), int(sys.argv[3])
channels = ("dwi", "flair", "adc")

def dataset(numbers):
    return CaseDataset([LabelledCase(folder / f"c{i}.safetensors", int(i < 12)) for i in numbers], channels)

def progress(stage, done, total):
    if done >= kill_at > 0:
        os.kill(os.getpid(), signal.SIGKILL)

outcome = train_round(
    planned_model(plan), initial_state(plan), train=dataset([0, 1, 2, 12, 13, 14]), validation=dataset([3, 15]),
    plan=plan.training, seed=1, hardware=Hardware(torch.device("cpu")), progress=progress,
    checkpoint=Path(sys.argv[4]),
)
sys.stdout.write(outcome.trained.values.tobytes().hex()[:200_000])
"""


def test_a_process_that_is_really_killed_is_gone_on_from(plan: StudyPlan, splits: SplitCases, tmp_path: Path) -> None:
    text = plan.model_copy(update={"training": plan.training.model_copy(update={"local_epochs": 4})}).model_dump_json()
    folder = splits.train.cases[0].file.parent

    def run(kill_at: int, checkpoint: str) -> subprocess.CompletedProcess[str]:
        arguments = [str(folder), text, str(kill_at), str(tmp_path / checkpoint)]
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=100, check=False
        )

    assert run(18, "killed.safetensors").returncode == -signal.SIGKILL
    resumed, undisturbed = run(0, "killed.safetensors"), run(0, "other.safetensors")
    assert resumed.returncode == undisturbed.returncode == 0, resumed.stderr
    assert len(resumed.stdout) == 200_000
    assert resumed.stdout == undisturbed.stdout
