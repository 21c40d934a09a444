"""A cross-validated protocol: no patient on both sides, thresholds from validation alone, and no fold trained twice."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from fpe_core.config.recipe import Grid
from fpe_core.config.study import StudyPlan
from fpe_core.data.dataset import CaseDataset, SplitCases
from fpe_core.data.regional import RegionMasks
from fpe_core.errors import CheckpointUnreadable, DataError, NotEnoughCases
from fpe_core.evaluation.thresholds import choose_threshold
from fpe_core.models.planned import initial_state, planned_model
from fpe_core.models.state import write_state
from fpe_core.state import FlatState
from fpe_core.training.fold_store import FoldOutcome
from fpe_core.training.hardware import Hardware
from fpe_core.training.predict import no_progress, predict
from fpe_core.training.single_site import ProtocolCases, cross_validate

CPU = Hardware(torch.device("cpu"))
Run = Callable[..., tuple[FoldOutcome, ...]]


class Killed(Exception):
    """The end of a training process."""


@pytest.fixture
def cases(splits: SplitCases) -> ProtocolCases:
    """12 development cases of 9 patients, 6 test cases."""
    patients = ("a", "a", "b", "c", "d", "d", "e", "e", "f", "g", "h", "i")
    return ProtocolCases(splits.train, patients, splits.test, tuple("uvwxyz"))


@pytest.fixture
def run(plan: StudyPlan, cases: ProtocolCases, tmp_path: Path) -> Run:
    def go(folder: str = "run", plan: StudyPlan = plan, cases: ProtocolCases = cases, **options: Any) -> Any:
        options = {"num_folds": 2, "hardware": CPU} | options
        return cross_validate(plan, cases, folder=tmp_path / folder, **options)

    return go


def same(one: FoldOutcome, other: FoldOutcome) -> bool:
    return (
        one.trained.values.tobytes() == other.trained.values.tobytes()
        and one.threshold == other.threshold
        and one.num_epochs == other.num_epochs
        and all(
            np.array_equal(a.probabilities, b.probabilities) and np.array_equal(a.labels, b.labels) and a.loss == b.loss
            for a, b in ((one.validation, other.validation), (one.test, other.test))
        )
    )


def test_each_fold_is_judged_by_its_own_model_on_its_own_cases(
    run: Run, cases: ProtocolCases, plan: StudyPlan, tmp_path: Path
) -> None:
    folds = run()
    assert [fold.number for fold in folds] == [1, 2]
    assert sum(len(fold.validation.labels) for fold in folds) == 12
    assert sum(fold.validation.labels.sum() for fold in folds) == 6
    model = planned_model(plan)
    for fold in folds:
        np.testing.assert_array_equal(fold.test.labels, [1, 1, 1, 0, 0, 0])
        write_state(model, fold.trained)
        again = predict(model, cases.test, plan=plan.training, hardware=CPU)
        np.testing.assert_allclose(fold.test.probabilities, again.probabilities, rtol=1e-6)
        assert fold.threshold == choose_threshold(
            validation_probabilities=fold.validation.probabilities, validation_labels=fold.validation.labels
        )
        assert fold.num_epochs == 2
        assert not np.array_equal(fold.trained.values, initial_state(plan).values)
    assert not np.array_equal(folds[0].trained.values, folds[1].trained.values)


def test_a_patients_cases_are_never_on_both_sides(run: Run, cases: ProtocolCases, plan: StudyPlan) -> None:
    """Seen from the predictions: those of each patient's cases come from the same fold."""
    folds = run()
    model = planned_model(plan)
    fold_of: dict[str, set[int]] = {}
    for fold in folds:
        write_state(model, fold.trained)
        everyone = predict(model, cases.development, plan=plan.training, hardware=CPU).probabilities
        for patient, probability in zip(cases.patients, everyone, strict=True):
            if np.isclose(fold.validation.probabilities, probability, rtol=1e-6, atol=0).any():
                fold_of.setdefault(patient, set()).add(fold.number)
    assert set(fold_of) == set(cases.patients)
    assert all(len(folds) == 1 for folds in fold_of.values())


def test_a_finished_run_is_read_and_not_trained_again(run: Run, tmp_path: Path) -> None:
    first = run()
    stages: list[str] = []
    again = run(progress=lambda stage, _done, _total: stages.append(stage))
    assert not stages
    assert all(same(one, other) for one, other in zip(first, again, strict=True))
    files = sorted(path.relative_to(tmp_path / "run") for path in (tmp_path / "run").rglob("*") if path.is_file())
    names = ("predictions.json", "weights.safetensors")
    assert files == [Path(f"fold-{number}") / name for number in (1, 2) for name in names]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "run").rglob("*") if path.is_file()} == {0o600}
    written = (tmp_path / "run" / "fold-1" / "predictions.json").read_text()
    assert "c0" not in written.replace(json.loads(written)["key"], "")  # a hash may hold those two letters


@pytest.mark.parametrize("fold", [1, 2])
def test_a_killed_run_goes_on_in_its_fold_and_epoch(run: Run, fold: int) -> None:
    def killed(stage: str, done: int, total: int) -> None:
        if stage == f"fold {fold} of 2: train" and done > total // 2:
            raise Killed

    undisturbed = run("other")
    with pytest.raises(Killed):
        run(progress=killed)
    stages: list[tuple[str, int]] = []
    resumed = run(progress=lambda stage, done, total: stages.append((stage, 2 * done - total)))
    assert all(same(one, other) for one, other in zip(undisturbed, resumed, strict=True))
    assert all(ahead > 0 for stage, ahead in stages if stage == f"fold {fold} of 2: train")
    assert not any(stage.startswith(f"fold {fold - 1} of 2") for stage, _ in stages)


def test_a_run_may_start_from_other_weights(run: Run, plan: StudyPlan, tmp_path: Path) -> None:
    start = initial_state(plan.model_copy(update={"seed": 11}))
    still = plan.model_copy(
        update={"training": plan.training.model_copy(update={"learning_rate": 1e-12, "weight_decay": 0.0})}
    )
    fold = run(plan=still, start=start)[0]
    weights = load_file(tmp_path / "run" / "fold-1" / "weights.safetensors")
    np.testing.assert_allclose(weights["conv1.weight"], start["conv1.weight"], atol=1e-9)
    assert weights["bn1.num_batches_tracked"].dtype == np.int64
    np.testing.assert_array_equal(fold.trained["conv1.weight"], weights["conv1.weight"])


def test_a_regional_input_is_regional_in_training_and_validation_too(
    run: Run, cases: ProtocolCases, plan: StudyPlan
) -> None:
    regions = RegionMasks(Grid(shape_zyx=(25, 16, 16), spacing_zyx_mm=(6.0, 14.0, 14.0)))

    def regional(whole: CaseDataset) -> CaseDataset:
        return CaseDataset([replace(c, occlusion_site="pca") for c in whole.cases], whole.channels, regions)

    seen_regionally = replace(cases, development=regional(cases.development), test=regional(cases.test))
    folds = run(cases=seen_regionally)
    corrected = [replace(case, occlusion_site="ica") for case in seen_regionally.test.cases]
    with pytest.raises(CheckpointUnreadable, match="is of another run"):
        run(cases=replace(seen_regionally, test=CaseDataset(corrected, cases.test.channels, regions)))
    model = planned_model(plan)
    for fold, whole in zip(folds, run("whole"), strict=True):
        assert not np.array_equal(fold.trained.values, whole.trained.values)
        write_state(model, fold.trained)
        seen = predict(model, regional(cases.development), plan=plan.training, hardware=CPU).probabilities
        assert np.isclose(fold.validation.probabilities[:, None], seen, rtol=1e-6, atol=0).any(axis=1).all()


def test_a_folder_of_another_run_is_refused(run: Run, plan: StudyPlan, cases: ProtocolCases) -> None:
    run()
    other = FlatState(initial_state(plan).layout, initial_state(plan).values + 1)
    fewer = ProtocolCases(
        CaseDataset(cases.development.cases[:-1], cases.development.channels),
        cases.patients[:-1],
        cases.test,
        cases.test_patients,
    )
    for change in ({"plan": plan.model_copy(update={"seed": 4})}, {"start": other}, {"cases": fewer}, {"num_folds": 3}):
        with pytest.raises(CheckpointUnreadable, match="is of another run"):
            run(**change)


@pytest.mark.parametrize("name", ["predictions.json", "weights.safetensors"])
def test_a_damaged_fold_is_told(run: Run, tmp_path: Path, name: str) -> None:
    run()
    (tmp_path / "run" / "fold-2" / name).write_bytes(b"{}")
    with pytest.raises(CheckpointUnreadable, match="is damaged") as caught:
        run()
    assert "fold-2 to train the fold again" in caught.value.hint


def test_a_patient_in_both_cohorts_is_refused(splits: SplitCases) -> None:
    with pytest.raises(DataError, match="no patient should be in both cohorts, but 1 are"):
        ProtocolCases(splits.train, tuple("abcdefghijkl"), splits.test, tuple("luvwxy"))
    with pytest.raises(DataError, match="a patient for each of 6 cases, got 1"):
        ProtocolCases(splits.train, tuple("abcdefghijkl"), splits.test, ("z",))


def test_more_folds_than_patients_of_a_class_are_refused(run: Run) -> None:
    with pytest.raises(NotEnoughCases, match="at least 5 patients"):
        run(num_folds=5, progress=no_progress)
