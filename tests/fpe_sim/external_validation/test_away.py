"""A prediction away from home uses exactly what was locked."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fpe_core.config.study import StudyPlan
from fpe_core.data.dataset import CaseDataset, LabelledCase
from fpe_core.errors import CheckpointUnreadable
from fpe_core.models.planned import planned_model
from fpe_core.training.fold_store import FoldOutcome
from fpe_core.training.hardware import Hardware
from fpe_core.training.predict import predict
from fpe_sim.external_validation.away import Visit, predict_away
from fpe_sim.external_validation.locks import Lock, lock_models, read_lock, weights_file
from fpe_sim.external_validation.protocol import ExternalValidationProtocol
from fpe_sim.run_context import RunContext

NOTHING = ([0.5], [1])


@pytest.fixture
def plan(protocol: ExternalValidationProtocol) -> StudyPlan:
    return protocol.study(protocol.pairs[0])


@pytest.fixture
def cases(make_site: Callable[..., Path], plan: StudyPlan) -> CaseDataset:
    site = make_site(num_positive=2, num_negative=3, recipe=plan.recipe, shape=(26, 16, 16))
    folder = site.parent / "state" / "preprocessed" / plan.recipe
    return CaseDataset([LabelledCase(folder / f"c{i}.safetensors", int(i < 2)) for i in range(5)], plan.model.channels)


@pytest.fixture
def visit(plan: StudyPlan, cases: CaseDataset, tmp_path: Path) -> Visit:
    return Visit(tmp_path / "lock.json", plan, tmp_path / "training", cases, tmp_path / "away")


@pytest.fixture
def lock(visit: Visit, fold: Callable[..., FoldOutcome]) -> Lock:
    """Of two networks that know nothing."""
    for number in (1, 2):
        torch.manual_seed(number)
        weights_file(visit.training_folder, number).parent.mkdir(parents=True)
        save_file(planned_model(visit.plan).state_dict(), weights_file(visit.training_folder, number))
    folds = [fold(number, NOTHING, NOTHING, threshold=number / 10) for number in (1, 2)]
    return lock_models(visit.lock_file, visit.plan, visit.training_folder, folds)


@pytest.fixture
def away(visit: Visit, in_process: None, tmp_path: Path) -> Callable[[Visit], list[tuple[np.ndarray, ...]]]:
    context = RunContext(tmp_path, jobs=1, device="cpu")
    return lambda visit: predict_away([visit], context=context, progress=lambda _done, _total: None)


Away = Callable[[Visit], list[tuple[np.ndarray, ...]]]


def test_locked_models_predict_as_they_did_at_home(visit: Visit, lock: Lock, away: Away) -> None:
    assert lock.threshold == pytest.approx(0.15)
    torch.manual_seed(2)
    model = planned_model(visit.plan)
    expected = predict(model, visit.cases, plan=visit.plan.training, hardware=Hardware(torch.device("cpu")))
    ((first, second),) = away(visit)
    assert second == pytest.approx(expected.probabilities, abs=1e-5)
    assert not np.allclose(first, second, atol=1e-3)


def test_weights_that_changed_after_the_lock_are_refused(visit: Visit, lock: Lock, away: Away) -> None:
    first, second = (weights_file(visit.training_folder, number) for number in (1, 2))
    second.write_bytes(first.read_bytes())
    with pytest.raises(CheckpointUnreadable, match="not what was locked"):
        away(visit)
    second.unlink()
    with pytest.raises(CheckpointUnreadable, match="not what was locked"):
        away(visit)


def test_nothing_travels_without_a_lock(visit: Visit, away: Away) -> None:
    with pytest.raises(CheckpointUnreadable, match="no lock"):
        away(visit)


def test_predictions_of_other_cases_are_not_taken_for_these(visit: Visit, lock: Lock, away: Away) -> None:
    away(visit)
    fewer = Visit(
        visit.lock_file,
        visit.plan,
        visit.training_folder,
        CaseDataset(visit.cases.cases[:3], visit.cases.channels),
        visit.folder,
    )
    assert [len(one) for one in away(fewer)[0]] == [3, 3]


def test_a_lock_is_written_once(visit: Visit, lock: Lock, fold: Callable[..., FoldOutcome]) -> None:
    folds = [fold(number, NOTHING, NOTHING, threshold=number / 10) for number in (1, 2)]
    assert lock_models(visit.lock_file, visit.plan, visit.training_folder, folds) == lock
    moved = [fold(number, NOTHING, NOTHING, threshold=0.4) for number in (1, 2)]
    with pytest.raises(CheckpointUnreadable, match="locks other models"):
        lock_models(visit.lock_file, visit.plan, visit.training_folder, moved)
    assert read_lock(visit.lock_file) == lock
