"""`fpe-client flow`: the same numbers on the screen, in the picture's folder and in the envelope."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fpe_client.cli import main

RECIPE = "mnt-dl-mr-small"
MakeSite = Callable[..., Path]


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["flow", *map(str, words)])


def listing(site: Path, task: str = "fpe") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((site.parent / "state" / "flow" / f"{task}.json").read_text())
    return found


@pytest.fixture
def site(make_site: MakeSite) -> Path:
    """16 cases, all preprocessed; then one lacks its FLAIR, one its outcome, one had a haemorrhage, one has no id."""
    path = make_site()
    table = path.parent / "cases.csv"
    lines = table.read_text().splitlines()
    lines[0] += ",significant_haemorrhage"
    lines[1:] = [line + "," for line in lines[1:]]
    lines[1] = lines[1].replace("f.nii", "")
    lines[2] = ",".join([*lines[2].split(",")[:6], "", "", ""])
    lines[3] += "1"
    lines.append("," + lines[4].split(",", 1)[1].replace("p3", "p99"))
    table.write_text("\n".join(lines) + "\n")
    return path


def test_the_numbers_add_up_everywhere(site: Path) -> None:
    done = run("--site", site, "--task", "fpe", "--recipe", RECIPE)
    assert done.exit_code == 0, done.output
    assert [int(word) for word in done.stdout.split() if word.isdigit()] == [17, 4, 1, 1, 1, 1, 13]
    found = listing(site)
    assert found["eligible"] == 17
    assert {one["reason"]: one["cases"] for one in found["excluded"] if one["cases"]} == {
        "row of the case table cannot be used": 1,
        "significant haemorrhage": 1,
        "missing series": 1,
        "outcome does not decide the label": 1,
    }
    assert found["excluded_cases"] == {
        "c0": "missing series",
        "c1": "outcome does not decide the label",
        "c2": "significant haemorrhage",
    }
    picture = site.parent / "state" / "flow" / "fpe.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in picture.parent.iterdir())


def test_the_envelope_has_counts_and_no_case(site: Path) -> None:
    done = run("--site", site, "--task", "fpe", "--recipe", RECIPE, "--json")
    data = json.loads(done.stdout)["data"]
    assert (data["eligible"], data["included"], data["arms"]) == (17, 13, {"MR": 13})
    assert "c5" not in done.stdout


def test_fewer_images_and_two_recipes(site: Path) -> None:
    run("--site", site, "--task", "fpe", "--recipe", RECIPE, "--sequences", "dwi,adc")
    assert len(listing(site)["included_cases"]) == 14
    two = ("--recipe", RECIPE, "--recipe", "mnt-dl-ct-small")
    done = run("--site", site, "--task", "fpe", *two)
    assert "nothing is preprocessed with mnt-dl-ct-small yet" in done.stderr
    assert set(listing(site)["included_cases"].values()) == {"MR"}


def test_without_preprocessing_the_table_decides(site: Path) -> None:
    done = run("--site", site, "--task", "fpe", "--recipe", "mnt-dl-mr")
    assert "nothing is preprocessed with mnt-dl-mr yet" in done.stderr
    assert len(listing(site)["included_cases"]) == 13


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--task", "stroke"), 2, "recanalization"),
        (("--task", "fpe", "--recipe", "none"), 3, "none"),
        (("--task", "fpe", "--sequences", "dwi,t2"), 2, "'t2' is none of"),
        (("--task", "fpe", "--sequences", "dwi", "--sequences", "adc"), 2, "once for each of 1 recipes"),
    ],
)
def test_wrong_words_are_refused(site: Path, words: tuple[str, ...], code: int, said: str) -> None:
    done = run("--site", site, *words)
    assert done.exit_code == code
    assert said in done.stderr
    assert "Traceback" not in done.output


def test_a_picture_that_cannot_be_written_is_told(site: Path) -> None:
    (site.parent / "state" / "flow" / "fpe.png").mkdir(parents=True)
    done = run("--site", site, "--task", "fpe", "--recipe", RECIPE)
    assert done.exit_code == 4
    assert "error [FPE-200]" in done.stderr
    assert "Traceback" not in done.output
