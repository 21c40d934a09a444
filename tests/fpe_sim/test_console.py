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
    assert "1/1" in capsys.readouterr().err
