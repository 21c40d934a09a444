"""What the clinical columns contribute in a model's networks: each fold's on disk, then means of shares.

Contributions compare between the columns of one network, not between networks, whose features differ in size. So each
network's are divided by their sum before means are taken over folds and inputs.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from fpe_core.config.base import FrozenModel
from fpe_core.config.study import ClinicalColumn
from fpe_core.data.dataset import CaseDataset
from fpe_core.evaluation.explain.daft import Contribution, contributions
from fpe_core.files import write_atomic
from fpe_core.models.planned import planned_model
from fpe_core.models.state import write_state
from fpe_core.training.device import choose_device, place
from fpe_core.training.hardware import Hardware, default_workers
from fpe_core.training.loader import ordered_batches
from fpe_core.training.single_site import cross_validate, validation_numbers
from fpe_sim.console import stage
from fpe_sim.ray_tasks import run_tasks
from fpe_sim.run_context import RunContext
from fpe_sim.trainings import Training
from fpe_sim.vdh_rlvo.protocol import Input

Shares = dict[ClinicalColumn, float]


class FoldContributions(FrozenModel):
    """File of one fold."""

    key: str
    """Digest of the fold's predictions and plan."""
    columns: tuple[ClinicalColumn, ...]
    """In the plan's order."""
    validation: tuple[float, ...]
    """Mean over the fold's validation cases, in units of the features."""
    test: tuple[float, ...]
    """Mean over the test cohort."""


@dataclass(frozen=True)
class Attribution:
    """Shares of all contributions, by column; they add up to 1.

    Attributes:
        validation: mean over folds and inputs, from validation cases: columns are chosen by it.
        test: by input, mean over folds, from test cases: as the paper's figure 4 shows.
    """

    validation: Shares
    test: dict[Input, Shares]


def attribution(trainings: Mapping[Input, Training], context: RunContext) -> Attribution:
    """Contributions in every fold of a model's networks; finished folds are kept from before.

    Args:
        trainings: finished cross-validations of networks with DAFT and the same columns.
        context: folder and machine.
    """
    files = {
        (one, number): context.folder / "contributions" / f"{training.name}-fold-{number}.json"
        for one, training in trainings.items()
        for number in range(1, training.num_folds + 1)
    }
    tasks = [
        (trainings[one], number, context.trainings, context.device, path)
        for (one, number), path in files.items()
        if _finished(path, _key(trainings[one], number, context.trainings)) is None
    ]
    with stage("contributions of the clinical columns") as progress:
        run_tasks(contributions_of_fold, tasks, context=context, progress=progress)
    found = {place: FoldContributions.model_validate_json(path.read_bytes()) for place, path in files.items()}
    return Attribution(
        validation=mean_shares([(fold.columns, fold.validation) for fold in found.values()]),
        test={
            one: mean_shares([(fold.columns, fold.test) for (of, _), fold in found.items() if of == one])
            for one in trainings
        },
    )


def mean_shares(folds: Sequence[tuple[tuple[ClinicalColumn, ...], Sequence[float]]]) -> Shares:
    """Mean over networks of each column's share; a network in which no column moves anything gives equal shares."""
    columns = folds[0][0]
    values = np.array([values for _, values in folds], dtype=np.float64)
    totals = values.sum(axis=1, keepdims=True)
    shares = np.divide(values, totals, out=np.full_like(values, 1 / len(columns)), where=totals > 0)
    return dict(zip(columns, shares.mean(axis=0).tolist(), strict=True))


def least_predictive(shares: Shares, number: int) -> tuple[ClinicalColumn, ...]:
    """The columns with the smallest shares, least first; of equal ones the later in the table's order first."""
    backwards = list(reversed(shares))
    return tuple(sorted(backwards, key=lambda column: shares[column])[:number])


def contributions_of_fold(training: Training, number: int, trainings: Path, device: str, path: Path) -> None:
    """Write one fold's contributions. A task of its own on Ray."""
    model, hardware = trained_network(training, number, trainings, device)
    columns = training.plan.model.clinical
    cases = training.cases
    numbers = validation_numbers(
        cases.patients,
        [case.label for case in cases.development.cases],
        num_folds=training.num_folds,
        plan_seed=training.plan.seed,
    )[number - 1]
    validation = CaseDataset([cases.development.cases[i] for i in numbers], cases.development.channels)
    found = [_values(model, part, columns, hardware) for part in (validation, cases.test)]
    record = FoldContributions(
        key=_key(training, number, trainings), columns=columns, validation=found[0], test=found[1]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, record.model_dump_json().encode())


def trained_network(training: Training, number: int, trainings: Path, device: str) -> tuple[nn.Module, Hardware]:
    """A finished fold's network on its device."""
    on = choose_device(device)
    hardware = Hardware(on, num_workers=default_workers(on))
    run = partial(cross_validate, training.plan, training.cases, num_folds=training.num_folds, hardware=hardware)
    (fold,) = run(folder=trainings / training.name, start=training.start, only_folds=(number,))
    model = planned_model(training.plan)
    write_state(model, fold.trained)
    return place(model, on), hardware


def as_contributions(shares: Shares) -> tuple[Contribution, ...]:
    """For the radar plot."""
    return tuple(Contribution(column, value) for column, value in shares.items())


def _values(
    model: nn.Module, cases: CaseDataset, columns: Sequence[ClinicalColumn], hardware: Hardware
) -> tuple[float, ...]:
    batches = ordered_batches(cases, batch_size=1, hardware=hardware)
    return tuple(found.value for found in contributions(model, batches, columns))


def _key(training: Training, number: int, trainings: Path) -> str:
    predictions = (trainings / training.name / f"fold-{number}" / "predictions.json").read_bytes()
    return hashlib.sha256(training.plan.fingerprint().encode() + predictions).hexdigest()


def _finished(path: Path, key: str) -> FoldContributions | None:
    if not path.is_file():
        return None
    record = FoldContributions.model_validate_json(path.read_bytes())
    return record if record.key == key else None
