"""What a person is told when they break off."""

import pytest
import typer

from fpe_sim.console import EXIT_INTERRUPTED, interruptible, stage


def test_ctrl_c_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, interruptible():
        raise KeyboardInterrupt
    assert caught.value.exit_code == EXIT_INTERRUPTED == 130
    captured = capsys.readouterr()
    assert "the same command goes on from here" in captured.err
    assert captured.out == ""


def test_a_stage_without_anything_left_to_do_is_shown_as_done(capsys: pytest.CaptureFixture[str]) -> None:
    with stage("phantoms at north"):
        pass
    assert "phantoms at north: done" in capsys.readouterr().err


def test_a_log_has_at_most_ten_lines_of_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    with stage("folds") as progress:
        for done in range(1, 301):
            progress(done, 300)
    first, *between, last = capsys.readouterr().err.splitlines()
    assert first == "folds"
    assert between == [f"folds: {done} of 300" for done in range(30, 300, 30)]
    assert last.startswith("folds: done in ")


def test_a_stage_that_fails_is_not_called_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="broken"), stage("folds"):
        raise ValueError("broken")
    assert "done" not in capsys.readouterr().err


def test_a_terminal_has_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with stage("folds") as progress:
        progress(2, 2)
    assert "2/2" in capsys.readouterr().err
