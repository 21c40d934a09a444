"""What a person reads while a study runs."""

import pytest

from fpe_server.control import SiteStatus
from fpe_server.progress import BarReporter, PlainReporter, describe, make_reporter
from fpe_server.study_state import StudyState

SITES = [SiteStatus("north", True, None), SiteStatus("south", False, None)]


def test_open_fleet_names_who_is_there() -> None:
    assert describe(SITES, None) == "1 of 2 sites connected (north)"


def test_waiting_study_says_for_whom() -> None:
    assert describe(SITES, StudyState()) == "waiting: 1 of 2 sites connected"


def test_running_study_says_what_each_site_does() -> None:
    state = StudyState("running", 1, 3, {"south": "answered", "north": "working"}, "training")
    assert describe(SITES, state) == "training · north working, south answered"


def test_plain_reporter_says_each_change_once(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = PlainReporter()
    for done in (0, 0, 1, 1):
        reporter.show(SITES, StudyState("running", done, 3, {}, "training"))
    reporter.say("done")
    captured = capsys.readouterr()
    assert captured.err.splitlines() == ["round 0/3: training", "round 1/3: training", "done"]
    assert captured.out == ""


def test_bar_goes_to_stderr_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with BarReporter() as reporter:
        reporter.say("opened")
        reporter.show(SITES, StudyState("running", 2, 3, {"north": "working"}, "training"))
    captured = capsys.readouterr()
    assert "opened" in captured.err
    assert captured.out == ""


def test_pipes_get_plain_lines() -> None:
    assert isinstance(make_reporter(), PlainReporter)
