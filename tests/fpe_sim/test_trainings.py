"""Folds that are finished stay, and are never mixed with folds of other cases."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fpe_core.config.study import StudyPlan
from fpe_core.data.dataset import CaseDataset, LabelledCase
from fpe_core.errors import CheckpointUnreadable
from fpe_core.training.single_site import ProtocolCases
from fpe_sim.run_context import RunContext
from fpe_sim.trainings import Training, train_fold, unfinished_folds


@pytest.fixture
def training(make_site: Callable[..., Path]) -> Training:
    folder = make_site(num_positive=9, num_negative=9).parent / "state" / "preprocessed" / "mnt-dl-mr-small"

    def dataset(numbers: Sequence[int]) -> CaseDataset:
        cases = [LabelledCase(folder / f"c{i}.safetensors", int(i < 9)) for i in numbers]
        return CaseDataset(cases, ("dwi", "flair", "adc"))

    development, test = [*range(6), *range(9, 15)], [6, 7, 8, 15, 16, 17]
    cases = ProtocolCases(dataset(development), tuple("abcdefghijkl"), dataset(test), tuple("uvwxyz"))
    plan = StudyPlan.model_validate(
        {
            "name": "small",
            "task": "fpe",
            "seed": 3,
            "model": {"base_width": 8},
            "training": {"batch_size": 6, "local_epochs": 1},
        }
    )
    return Training("mnt-dl", plan, cases, num_folds=3)


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    return RunContext(tmp_path, 1, device="cpu")


def test_folds_of_other_cases_are_refused_before_one_is_trained_beside_them(
    training: Training, context: RunContext
) -> None:
    first, *_ = unfinished_folds([training], context)
    train_fold(*first)
    assert [number for _, number, *_ in unfinished_folds([training], context)] == [2, 3]
    development = training.cases.development
    fewer = replace(
        training.cases,
        development=CaseDataset(development.cases[:-1], development.channels),
        patients=training.cases.patients[:-1],
    )
    with pytest.raises(CheckpointUnreadable, match="is of another run") as caught:
        unfinished_folds([replace(training, cases=fewer)], context)
    assert f"delete {context.trainings / 'mnt-dl'} to train its folds again" in caught.value.hint
    assert not (context.trainings / "mnt-dl" / "fold-2").exists()
