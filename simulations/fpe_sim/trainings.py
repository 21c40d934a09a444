"""Many cross-validations side by side, each fold a task on Ray; a finished fold is never trained again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fpe_core.config.study import StudyPlan
from fpe_core.state import FlatState
from fpe_core.training.device import choose_device
from fpe_core.training.fold_store import FoldOutcome
from fpe_core.training.hardware import Hardware, default_workers
from fpe_core.training.single_site import ProtocolCases, cross_validate
from fpe_sim.ray_tasks import Progress, run_tasks
from fpe_sim.run_context import RunContext


@dataclass(frozen=True, eq=False)
class Training:
    """One cross-validation.

    Attributes:
        name: of its folder; unique in the run.
        plan: network, training and seed.
        cases: development and test cohort.
        num_folds: K.
        start: first weights, for example with a pre-trained encoder; None for the plan's own.
        only_folds: numbers of the folds to train and give, from 1; None for all.
    """

    name: str
    plan: StudyPlan
    cases: ProtocolCases
    num_folds: int
    start: FlatState | None = None
    only_folds: tuple[int, ...] | None = None


def cross_validate_all(
    trainings: Sequence[Training], *, context: RunContext, progress: Progress
) -> dict[str, tuple[FoldOutcome, ...]]:
    """The folds of every training, by its name.

    Raises:
        FpeError: a training failed; those that were finished are kept.
    """
    run_tasks(train_fold, unfinished_folds(trainings, context), context=context, progress=progress)
    return {
        training.name: _cross_validated(
            training, context.trainings / training.name, context.device, training.only_folds
        )
        for training in trainings
    }


def unfinished_folds(trainings: Sequence[Training], context: RunContext) -> list[tuple[Training, int, Path, str]]:
    """Arguments of `train_fold` for each fold that is still to be trained.

    Raises:
        CheckpointUnreadable: a finished fold is damaged, or of other cases. Told here, before folds of these cases are
            trained beside it.
    """
    unfinished = []
    for training in trainings:
        folder = context.trainings / training.name
        wanted = training.only_folds or tuple(range(1, training.num_folds + 1))
        done = tuple(number for number in wanted if (folder / f"fold-{number}" / "predictions.json").is_file())
        if done:
            _cross_validated(training, folder, context.device, only_folds=done)
        unfinished += [(training, number, folder, context.device) for number in wanted if number not in done]
    return unfinished


def train_fold(training: Training, number: int, folder: Path, device: str) -> None:
    """Train one fold; its result stays in `folder`."""
    _cross_validated(training, folder, device, only_folds=(number,))


def _cross_validated(
    training: Training, folder: Path, device: str, only_folds: tuple[int, ...] | None = None
) -> tuple[FoldOutcome, ...]:
    on = choose_device(device)
    return cross_validate(
        training.plan,
        training.cases,
        num_folds=training.num_folds,
        hardware=Hardware(on, num_workers=default_workers(on)),
        folder=folder,
        start=training.start,
        only_folds=only_folds,
    )
