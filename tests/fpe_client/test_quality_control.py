"""`fpe-client qc` as a person uses it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fpe_client.cli import main
from fpe_core.preprocessing.decisions import load_decisions

RECIPE = "mnt-dl-mr-small"


@pytest.fixture
def site(make_site) -> Path:
    """A site of four cases: c1 is for review, c2 fails."""
    path: Path = make_site(num_positive=2, num_negative=2)
    manifest_file = path.parent / "state" / "preprocessed" / RECIPE / "manifest.json"
    manifest = json.loads(manifest_file.read_text())
    for name, dice in (("c0", 0.95), ("c1", 0.88), ("c2", 0.5), ("c3", 0.95)):
        manifest["cases"][name]["qc"] = {"template_dice": dice}
    manifest_file.write_text(json.dumps(manifest))
    return path


def run(site: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["qc", *words, "--site", str(site), "--recipe", RECIPE])


def test_list_says_what_needs_a_person_worst_first(site):
    done = run(site, "list")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == ["fail      c2  Q-02", "review    c1  Q-02"]
    assert "1 failed, 1 to review, 2 passed" in done.stderr
    assert len(run(site, "list", "--all").stdout.splitlines()) == 4


def test_accept_and_reject_are_kept_and_shown(site):
    assert run(site, "accept", "c1", "c2").exit_code == 0
    assert run(site, "reject", "c0", "--reason", "metal").exit_code == 0
    cases = json.loads(run(site, "list", "--json").stdout)["data"]["cases"]
    assert {name: case["group"] for name, case in cases.items()} == {
        "c0": "rejected",
        "c1": "accepted",
        "c2": "accepted",
        "c3": "pass",
    }
    assert cases["c0"]["decision"]["reason"] == "metal"
    folder = site.parent / "state" / "preprocessed" / RECIPE
    assert len(load_decisions(folder).cases) == 3
    assert "metal" in (folder / "review.html").read_text()


def test_page_prints_its_path(site):
    done = run(site, "page")
    assert done.exit_code == 0
    assert Path(done.stdout.strip()).is_file()


@pytest.mark.parametrize("words", [("accept", "c9"), ("reject", "nobody")])
def test_an_unknown_case_ends_in_a_clear_error(site, words):
    done = run(site, *words)
    assert done.exit_code == 4
    assert "hint: did you mean c" in done.stderr
    assert not (site.parent / "state" / "preprocessed" / RECIPE / "qc-decisions.json").exists()


def test_a_recipe_that_was_never_run_is_named_with_the_command_to_run(site):
    done = CliRunner().invoke(main, ["qc", "list", "--site", str(site), "--recipe", "mnt-dl-ct"])
    assert done.exit_code == 4
    assert "fpe-client preprocess" in done.stderr
