"""A whole validation in both directions: locked before the visit, the same twice, and refused when a model changed."""

import importlib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fpe_core.config.study import Task
from fpe_core.errors import CheckpointUnreadable
from fpe_sim.cohorts.ready import ReadyCohort
from fpe_sim.external_validation.locks import read_lock
from fpe_sim.external_validation.protocol import ExternalValidationProtocol, HospitalPlan
from fpe_sim.protocol_results import ProtocolResults
from fpe_sim.run_context import RunContext

Go = Callable[..., ProtocolResults]
# The package has the function of the same name.
module = importlib.import_module("fpe_sim.external_validation.run")
PAIRS = ("ucla-to-vdh-fpe", "vdh-to-ucla-fpe")


@pytest.fixture
def opened() -> list[tuple[str, list[str]]]:
    """Each cohort as it was opened, with the locks that were there then."""
    return []


@pytest.fixture
def go(
    protocol: ExternalValidationProtocol,
    make_cohort: Callable[..., ReadyCohort],
    in_process: None,
    tmp_path: Path,
    opened: list[tuple[str, list[str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> Go:
    cohorts = {
        "ucla-ct": make_cohort("ucla", num_positive=9, num_negative=9),
        "vdh": make_cohort("vdh", num_positive=9, num_negative=12, seed=1),
    }
    folder = tmp_path / "run"

    def ready(name: str, _recipe: str, **_: Any) -> ReadyCohort:
        opened.append((name, sorted(path.stem for path in (folder / "locks").glob("*.json"))))
        return cohorts[name]

    monkeypatch.setattr(module, "ready_cohort", ready)

    def run(**changes: Any) -> ProtocolResults:
        return module.run(protocol.model_copy(update=changes), RunContext(folder, jobs=1, device="cpu"))

    return run


def test_models_are_locked_before_they_travel_and_a_second_run_finds_everything(
    go: Go, opened: list[tuple[str, list[str]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = go()
    assert opened == [("ucla-ct", []), ("vdh", ["ucla-to-vdh-fpe"])]
    numbers = results.numbers
    assert numbers["pairs_run"] == 2
    assert numbers["ucla-to-vdh-fpe.away.num_cases"] == 21
    assert numbers["vdh-to-ucla-fpe.away.num_cases"] == 18
    assert [numbers[f"{pair}.num_models"] for pair in PAIRS] == [2, 3]
    assert numbers["ucla-to-vdh-fpe.num_development"] + numbers["ucla-to-vdh-fpe.home.num_cases"] == 18
    # The brightness of positive cases is the same at both hospitals.
    assert min(numbers[f"{pair}.away.auc"] for pair in PAIRS) > 0.9
    for figure in results.figures:
        assert (tmp_path / "run" / "figures" / f"{figure.id}.svg").is_file()
    assert {table.id for table in results.tables} >= {"travel", "operating-point", "calibration", "folds", "locks"}

    def trains(*_: object, **__: object) -> None:
        raise AssertionError("trained or predicted again")

    monkeypatch.setattr("fpe_core.training.single_site.train_round", trains)
    monkeypatch.setattr("fpe_sim.external_validation.away.predict", trains)
    again = go()
    assert again.model_copy(update={"seconds": {}}) == results.model_copy(update={"seconds": {}})


def test_changed_weights_do_not_travel(go: Go, tmp_path: Path) -> None:
    go(homes=("ucla",))
    run = tmp_path / "run"
    lock = read_lock(run / "locks" / "ucla-to-vdh-fpe.json")
    assert [fold.number for fold in lock.folds] == [1, 2]
    (run / "away" / "ucla-to-vdh-fpe" / "fold-2.json").unlink()
    weights = [run / "trainings" / "ucla-to-vdh-fpe" / f"fold-{number}" / "weights.safetensors" for number in (1, 2)]
    weights[1].write_bytes(weights[0].read_bytes())
    with pytest.raises(CheckpointUnreadable, match="locks other models"):
        go(homes=("ucla",))


def test_a_pair_with_too_few_patients_is_named_and_the_others_go_on(go: Go) -> None:
    both: tuple[Task, ...] = ("fpe", "recanalization")
    results = go(homes=("ucla",), labels=both)
    assert results.numbers["pairs_run"] == 1
    assert any("Not run" in text and "recanalisation" in text for text in results.discrepancies)


def test_without_a_home_test_cohort_the_visit_is_judged_all_the_same(go: Go) -> None:
    results = go(homes=("ucla",), labels=("fpe",), ucla=HospitalPlan(num_folds=2, test_from=date(2199, 1, 1)))
    assert results.numbers["ucla-to-vdh-fpe.num_development"] == 18
    assert "ucla-to-vdh-fpe.away.auc" in results.numbers
    assert "ucla-to-vdh-fpe.loss" not in results.numbers
    assert any("a class has too few cases to compare" in text for text in results.findings)
