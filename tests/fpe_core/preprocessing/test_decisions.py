"""Decisions belong to a content, survive, and never name a case that is not there."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fpe_core.config.recipe import recipe_named
from fpe_core.errors import CaseTableInvalid, DataError
from fpe_core.preprocessing.decisions import DECISIONS, decide, load_decisions
from fpe_core.preprocessing.gate import usable
from fpe_core.preprocessing.manifest import Manifest, ManifestEntry, Quarantine, QuarantineEntry, write_lists

RECIPE = recipe_named("mnt-dl-mr-small")


def write(folder: Path, keys: dict[str, str], dice: float = 0.88) -> None:
    entries = {}
    for case_id, key in keys.items():
        (folder / f"{key}.safetensors").write_bytes(b"")
        entries[case_id] = ManifestEntry(
            file=f"{key}.safetensors",
            sha256="",
            recipe_fingerprint=RECIPE.fingerprint(),
            qc={"template_dice": dice},
            seconds={},
        )
    broken = QuarantineEntry(code="FPE-212", message="truncated", key="")
    write_lists(folder, Manifest(cases=entries), Quarantine(cases={"broken": broken}))


def test_a_changed_image_loses_its_decision_and_gets_it_back_with_the_old_image(tmp_path):
    write(tmp_path, {"a": "content-1"})
    decide(tmp_path, ["a"], accepted=True)
    assert usable(tmp_path, RECIPE).set_aside == {}
    write(tmp_path, {"a": "content-2"})
    assert usable(tmp_path, RECIPE).set_aside == {"a": "FPE-227"}
    write(tmp_path, {"a": "content-1"})
    assert usable(tmp_path, RECIPE).set_aside == {}


def test_a_later_decision_takes_the_place_of_an_earlier_one(tmp_path):
    write(tmp_path, {"a": "content"})
    decide(tmp_path, ["a"], accepted=True)
    decide(tmp_path, ["a"], accepted=False, reason="moved")
    (decision,) = load_decisions(tmp_path).cases.values()
    assert (decision.accepted, decision.reason, decision.case_id) == (False, "moved", "a")
    assert stat.S_IMODE((tmp_path / DECISIONS).stat().st_mode) == 0o600


def test_an_unknown_case_is_named_with_the_nearest_one_and_nothing_is_decided(tmp_path):
    write(tmp_path, {"stroke-0007": "x", "other": "y"})
    with pytest.raises(CaseTableInvalid, match="'stroke-07'") as caught:
        decide(tmp_path, ["other", "stroke-07"], accepted=True)
    assert "stroke-0007" in caught.value.hint
    assert load_decisions(tmp_path).cases == {}


def test_a_case_that_could_not_be_preprocessed_says_so(tmp_path):
    write(tmp_path, {"a": "x"})
    with pytest.raises(CaseTableInvalid, match="FPE-212"):
        decide(tmp_path, ["broken"], accepted=True)


def test_people_who_decide_at_once_do_not_lose_each_others_word(tmp_path):
    ids = [f"c{i}" for i in range(20)]
    write(tmp_path, {case_id: f"key-{case_id}" for case_id in ids})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda case_id: decide(tmp_path, [case_id], accepted=True), ids))
    assert len(load_decisions(tmp_path).cases) == 20


@pytest.mark.parametrize("content", [b"{", json.dumps({"schema_version": 2, "cases": {}}).encode()])
def test_a_damaged_list_is_an_error_and_stays(tmp_path, content):
    write(tmp_path, {"a": "x"})
    (tmp_path / DECISIONS).write_bytes(content)
    for act in (lambda: usable(tmp_path, RECIPE), lambda: decide(tmp_path, ["a"], accepted=True)):
        with pytest.raises(DataError, match="decisions"):
            act()
    assert (tmp_path / DECISIONS).read_bytes() == content
