"""A study's memory: what is kept, and what happens when a file is damaged."""

from pathlib import Path

import numpy as np
import pytest

from fpe_core.errors import CheckpointUnreadable
from fpe_core.evaluation.results import RoundResults
from fpe_core.state import FlatState, Layout, TensorEntry
from fpe_server.checkpoint import Checkpoint, StudyProgress, load_checkpoint, save_checkpoint

LAYOUT = Layout((TensorEntry("w", (2, 3), "float32", "b"), TensorEntry("n", (), "int64", "norm")))
OURS, OTHERS = "a" * 64, "b" * 64


def checkpoint(num_rounds: int, *, study: str = OURS) -> Checkpoint:
    rounds = tuple(
        RoundResults(
            round_number=number + 1,
            sites={},
            pooled_validation_auc=None,
            pooled_validation_loss=0.1 + 0.2,
            duration_s=1.5,
        )
        for number in range(num_rounds)
    )
    progress = StudyProgress(study_fingerprint=study, descriptions={}, rounds=rounds, best_round=0, best_loss=0.1 + 0.2)
    rng = np.random.default_rng(num_rounds)
    current, best = (FlatState(LAYOUT, rng.normal(size=LAYOUT.size).astype(np.float32)) for _ in range(2))
    return Checkpoint(progress, current, best)


def damage(path: Path, at: int = -3) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def test_a_study_that_has_not_begun_has_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path, OURS) is None


def test_everything_comes_back_bit_for_bit(tmp_path: Path) -> None:
    saved = checkpoint(3)
    save_checkpoint(tmp_path, saved)
    found = load_checkpoint(tmp_path, OURS)
    assert found is not None
    assert found.progress == saved.progress
    assert found.current.values.tobytes() == saved.current.values.tobytes()
    assert found.best.values.tobytes() == saved.best.values.tobytes()
    assert found.current.layout == found.best.layout == LAYOUT


def test_the_newest_and_the_one_before_are_kept(tmp_path: Path) -> None:
    for number in range(12):
        save_checkpoint(tmp_path, checkpoint(number))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "round-00010.safetensors",
        "round-00011.safetensors",
    ]
    found = load_checkpoint(tmp_path, OURS)
    assert found is not None
    assert len(found.progress.rounds) == 11


def test_nobody_else_may_read_one(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint(0))
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600]


@pytest.mark.parametrize("harm", ["flipped bit", "cut off", "empty", "not one"])
def test_a_damaged_newest_falls_back_to_the_one_before(tmp_path: Path, harm: str) -> None:
    for number in (4, 5):
        save_checkpoint(tmp_path, checkpoint(number))
    newest = tmp_path / "round-00005.safetensors"
    content = newest.read_bytes()
    spoilt = {"cut off": content[:-8], "empty": b"", "not one": b"x" * 5000}
    newest.write_bytes(spoilt.get(harm, content))
    if harm == "flipped bit":
        damage(newest)
    found = load_checkpoint(tmp_path, OURS)
    assert found is not None
    assert len(found.progress.rounds) == 4
    assert found.current.values.tobytes() == checkpoint(4).current.values.tobytes()


def test_when_all_are_damaged_nothing_begins_anew(tmp_path: Path) -> None:
    for number in (4, 5):
        save_checkpoint(tmp_path, checkpoint(number))
    for path in tmp_path.iterdir():
        damage(path)
    with pytest.raises(CheckpointUnreadable, match=r"no checkpoint .+ can be read"):
        load_checkpoint(tmp_path, OURS)


def test_another_plans_checkpoint_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint(2, study=OTHERS))
    with pytest.raises(CheckpointUnreadable, match="another plan") as caught:
        load_checkpoint(tmp_path, OURS)
    assert "new name" in caught.value.hint


def test_every_single_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """In the weights, and in what is known beside them: a loss that reads 0.2 for 0.3 would choose another model."""
    save_checkpoint(tmp_path, checkpoint(1))
    (path,) = tmp_path.iterdir()
    for at in range(8, len(path.read_bytes())):
        damage(path, at)
        with pytest.raises(CheckpointUnreadable):
            load_checkpoint(tmp_path, OURS)
        damage(path, at)
    assert load_checkpoint(tmp_path, OURS) is not None
