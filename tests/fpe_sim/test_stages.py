from pathlib import Path

import pytest

from fpe_sim.stages import stage_seconds, timed


def test_a_stages_time_adds_up_over_interrupted_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 3.0, 10.0, 14.0, 20.0, 21.0])
    monkeypatch.setattr("fpe_sim.stages.time.monotonic", lambda: next(clock))
    with pytest.raises(KeyboardInterrupt), timed(tmp_path / "run", "trainings"):
        raise KeyboardInterrupt
    with timed(tmp_path / "run", "trainings"):
        pass
    with timed(tmp_path / "run", "cohorts"):
        pass
    assert stage_seconds(tmp_path / "run") == {"trainings": 7.0, "cohorts": 1.0}


def test_a_damaged_file_starts_again(tmp_path: Path) -> None:
    (tmp_path / "seconds.json").write_text("{")
    assert stage_seconds(tmp_path) == {}
