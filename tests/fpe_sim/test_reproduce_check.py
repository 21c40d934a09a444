"""`fpe-sim reproduce-check`: how bands are held, and every protocol of the software against its own."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fpe_core.errors import ConfigValueInvalid
from fpe_sim.cli import main
from fpe_sim.protocol import protocol_names
from fpe_sim.reproduce_check import BandCheck, CheckOutcome, check_protocols, check_table, checked_protocol

RUNNER = CliRunner()


def band(value: float | None) -> BandCheck:
    return BandCheck("tiny", "auc", 0.4, 0.6, value)


@pytest.mark.parametrize("value", [0.4, 0.5, 0.6])
def test_the_ends_of_a_band_belong_to_it(value: float) -> None:
    assert band(value).passed


@pytest.mark.parametrize("value", [0.399, 0.601, None, math.nan])
def test_what_is_outside_or_not_there_fails(value: float | None) -> None:
    outcome = CheckOutcome((band(0.5), band(value)), {})
    assert outcome.exit_code == 1
    assert "1 failed" in check_table(outcome)


def test_a_run_that_failed_fails_the_check_however_its_bands() -> None:
    outcome = CheckOutcome((band(0.5),), {"other": "[FPE-400] Training failed."})
    assert outcome.exit_code == 1
    assert "[FPE-400] Training failed." in check_table(outcome)
    assert CheckOutcome((band(0.5),), {}).exit_code == 0


def test_a_protocol_is_run_as_its_check_says(tiny: Path, tmp_path: Path) -> None:
    done = RUNNER.invoke(main, ["reproduce-check", str(tiny), "--out", str(tmp_path / "runs"), "--jobs", "1", "--json"])
    assert done.exit_code == 0
    checks = json.loads(done.stdout)["data"]["checks"]
    assert [(check["number"], check["value"], check["passed"]) for check in checks] == [
        ("cases", 50, True),
        ("steps", 2, True),
    ]
    assert (tmp_path / "runs" / "tiny" / "report.html").is_file()


def test_a_number_out_of_its_band_ends_with_one(tiny: Path) -> None:
    tiny.write_text(tiny.read_text().replace("{number: cases, low: 50", "{number: cases, low: 49, high: 49.5}  # "))
    done = RUNNER.invoke(main, ["reproduce-check", str(tiny), "--jobs", "1"])
    assert done.exit_code == 1
    assert [line.split() for line in done.stdout.splitlines()][1] == ["FAIL", "tiny", "cases", "49", "to", "49.5", "50"]


def test_a_failing_run_does_not_keep_the_next_from_running(tiny: Path) -> None:
    failing = tiny.with_name("failing.yaml")
    text = tiny.read_text().replace("name: tiny", "name: failing")
    failing.write_text(text.replace("work.steps: 2}", "work.steps: 2, work.fails_at: 0}"))
    outcome = check_protocols([str(failing), str(tiny)], None, jobs=1)
    assert outcome.failures == {"failing": "[FPE-202] file 0 cannot be made"}
    assert {check.protocol for check in outcome.bands} == {"tiny"}
    assert outcome.exit_code == 1


def test_what_has_no_check_is_refused(tiny: Path) -> None:
    tiny.write_text(tiny.read_text().split("check:")[0])
    for name in (str(tiny), "federated-mr-small"):
        with pytest.raises(ConfigValueInvalid, match="nothing to check"):
            checked_protocol(name)


def test_a_name_that_nobody_knows_is_one_envelope() -> None:
    done = RUNNER.invoke(main, ["reproduce-check", "nowhere", "--json"])
    assert done.exit_code == 3
    assert json.loads(done.stdout)["data"]["code"] == "FPE-101"


@pytest.mark.parametrize("name", protocol_names())
def test_every_protocol_has_bands_and_its_check_fits_it(name: str) -> None:
    protocol = checked_protocol(name)
    assert protocol.name == name
    assert protocol.check is not None
    assert len(protocol.check.bands) >= 3
    assert all(one.low <= one.high for one in protocol.check.bands)


# Variants of one protocol run the same code: the command checks them, a suite need not.
CHECKED = [name for name in protocol_names() if not name.startswith("federated-")]


@pytest.mark.integration
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", CHECKED)
def test_a_protocol_gives_what_its_bands_say(name: str, tmp_path: Path) -> None:
    command = [Path(sys.executable).with_name("fpe-sim"), "reproduce-check", name, "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = (tmp_path / name / "report.html").read_text()
    assert "They say nothing about patients." in report
    tables = list((tmp_path / name / "tables").glob("*.csv"))
    assert tables
    assert all(len(path.read_text().splitlines()) > 1 for path in tables)
