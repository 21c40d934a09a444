import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from fpe_core.errors import ResultsUnreadable
from fpe_core.evaluation import results as results_module
from fpe_core.evaluation.results import (
    PooledScore,
    RoundResults,
    RoundSite,
    SiteResults,
    StudyFailure,
    StudyResults,
    load_results,
    save_results,
)
from fpe_core.protocol import Evaluation, Failure, SiteDescription, TrainingSummary

DOCUMENTED: tuple[type[BaseModel], ...] = (
    StudyResults,
    SiteResults,
    RoundResults,
    RoundSite,
    PooledScore,
    StudyFailure,
    SiteDescription,
    Evaluation,
    TrainingSummary,
    Failure,
)
DOCUMENT = Path(__file__).parents[3] / "docs" / "results.md"


def changed(study: StudyResults, **changes: Any) -> StudyResults:
    return StudyResults.model_validate({**study.model_dump(), **changes})


@pytest.mark.parametrize("which", ["study", "troubled_study"])
def test_what_is_saved_is_what_is_loaded(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    results = request.getfixturevalue(which)
    save_results(results, tmp_path / "results.json")
    assert load_results(tmp_path / "results.json") == results
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_an_interrupted_write_leaves_the_old_file(
    study: StudyResults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.json"
    save_results(study, path)

    def power_cut(_descriptor: int) -> None:
        raise OSError("disk gone")

    monkeypatch.setattr("os.fsync", power_cut)
    with pytest.raises(OSError, match="disk gone"):
        save_results(changed(study, best_round=1), path)
    assert load_results(path) == study
    assert list(tmp_path.iterdir()) == [path]


def test_the_validation_in_round_t_is_about_the_model_after_t_minus_one_rounds(study: StudyResults) -> None:
    assert len(study.rounds) == study.plan.federation.rounds + 1
    assert study.rounds[study.best_round].round_number == study.best_round + 1
    assert all(site.training is None for site in study.rounds[-1].sites.values())


def test_a_missing_closing_entry_is_refused(study: StudyResults) -> None:
    with pytest.raises(ValidationError, match="numbered 1 to 9"):
        changed(study, rounds=study.rounds[:-1])


def test_a_closing_entry_that_trains_is_refused(study: StudyResults) -> None:
    closing = study.rounds[-2].model_copy(update={"round_number": study.rounds[-1].round_number})
    with pytest.raises(ValidationError, match="train nothing"):
        changed(study, rounds=(*study.rounds[:-1], closing))


def test_a_best_round_that_was_not_run_is_refused(study: StudyResults) -> None:
    assert changed(study, best_round=8).best_round == 8
    with pytest.raises(ValidationError, match="best_round should be 0 to 8, got 9"):
        changed(study, best_round=9)


def test_a_round_of_an_unknown_site_is_refused(study: StudyResults) -> None:
    with pytest.raises(ValidationError, match="took no part: \\['north-hospital'\\]"):
        changed(study, sites=study.sites[1:])


def test_two_sites_of_one_name_are_refused(study: StudyResults) -> None:
    with pytest.raises(ValidationError, match="different names"):
        changed(study, sites=(*study.sites, study.sites[0]))


def test_failures_in_rounds_are_listed_with_their_round(study: StudyResults) -> None:
    listed = [(number, site, failure.code) for number, site, failure in study.failures_in_rounds()]
    assert listed == [(4, "river-clinic", "FPE-610")]


def test_a_missing_file_and_a_damaged_one_are_said_apart(study: StudyResults, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    with pytest.raises(ResultsUnreadable, match="FileNotFoundError"):
        load_results(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(ResultsUnreadable, match="Invalid JSON"):
        load_results(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ResultsUnreadable):
        load_results(path)
    content = json.loads(study.model_dump_json())
    path.write_text(json.dumps({**content, "schema_version": 2}), encoding="utf-8")
    with pytest.raises(ResultsUnreadable, match="schema_version"):
        load_results(path)


def test_an_infinite_loss_cannot_be_stored(study: StudyResults) -> None:
    with pytest.raises(ValidationError, match="finite"):
        RoundResults.model_validate({**study.rounds[0].model_dump(), "pooled_validation_loss": float("inf")})


@pytest.mark.parametrize("model", DOCUMENTED, ids=lambda model: model.__name__)
def test_the_document_names_every_field(model: type[BaseModel]) -> None:
    section = re.search(rf"### `{model.__name__}`\n(.*?)(?=\n### |\Z)", DOCUMENT.read_text(encoding="utf-8"), re.S)
    assert section, f"{DOCUMENT.name} has no section on {model.__name__}"
    assert re.findall(r"^\| `(\w+)` \|", section[1], re.M) == list(model.model_fields)


def test_the_document_has_a_section_for_every_model_of_the_file() -> None:
    defined = {
        value
        for value in vars(results_module).values()
        if isinstance(value, type) and issubclass(value, BaseModel) and value.__module__ == results_module.__name__
    }
    assert defined <= set(DOCUMENTED)
