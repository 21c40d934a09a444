"""Trains the protocol's networks, each fold a task of its own, and keeps their predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fpe_core.config.study import ClinicalColumn, StudyPlan
from fpe_core.data.case_table import CaseRow
from fpe_core.data.clinical_columns import RLVO_COLUMNS
from fpe_core.training.single_site import ProtocolCases
from fpe_sim.cohorts.ready import ReadyCohort, protocol_cases
from fpe_sim.console import stage
from fpe_sim.ray_tasks import run_tasks
from fpe_sim.run_context import RunContext
from fpe_sim.trainings import Training, cross_validate_all, train_fold, unfinished_folds
from fpe_sim.vdh_rlvo.cohort import StudyCohort, fitted_scaler
from fpe_sim.vdh_rlvo.judged import Folds, ensemble, judged
from fpe_sim.vdh_rlvo.networks import Variant, study_plan
from fpe_sim.vdh_rlvo.protocol import Input, VdhProtocol


@dataclass(frozen=True)
class ModelSpec:
    """One model: a variant with its columns and development cases; an ensemble over the inputs.

    Attributes:
        name: first part of its trainings' folders.
        variant: encoder and configuration.
        columns: what DAFT is given.
        development: cases to train and validate on.
    """

    name: str
    variant: Variant
    columns: tuple[ClinicalColumn, ...]
    development: tuple[CaseRow, ...]


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A model's folds.

    Attributes:
        spec: what it is.
        inputs: folds of each input's network.
        folds: of the vote of them.
    """

    spec: ModelSpec
    inputs: dict[Input, Folds]
    folds: Folds


def full_spec(variant: Variant, cohort: StudyCohort) -> ModelSpec:
    """A row of the paper's table 3: all columns, and all cases that have them."""
    return ModelSpec(variant.id, variant, RLVO_COLUMNS, cohort.division.development)


def trained_models(
    specs: Sequence[ModelSpec], cohort: StudyCohort, protocol: VdhProtocol, context: RunContext
) -> tuple[TrainedModel, ...]:
    """Cross-validate the models' networks, all of them side by side; finished folds are kept from before.

    Raises:
        FpeError: a training failed.
    """
    trainings = {
        spec.name: {one: input_training(spec, one, cohort, protocol) for one in protocol.inputs} for spec in specs
    }
    everything = [training for by_input in trainings.values() for training in by_input.values()]
    with stage(f"folds of {len(everything)} networks") as progress:
        run_tasks(train_fold, unfinished_folds(everything, context), context=context, progress=progress)
    return tuple(_loaded(spec, trainings[spec.name], context) for spec in specs)


def _loaded(spec: ModelSpec, trainings: Mapping[Input, Training], context: RunContext) -> TrainedModel:
    """A model's predictions. A DenseNet169 fold has 76 MB of weights, and there are a hundred folds: they stay on disk,
    and one model's are read at a time."""
    inputs: dict[Input, Folds] = {}
    for one, training in trainings.items():
        outcomes = cross_validate_all([training], context=context, progress=_silent)
        inputs[one] = tuple(judged(fold) for fold in outcomes[training.name])
    return TrainedModel(spec, inputs, ensemble(inputs))


def _silent(_done: int, _total: int) -> None:
    """Nothing is left to train."""


def input_training(spec: ModelSpec, image_input: Input, cohort: StudyCohort, protocol: VdhProtocol) -> Training:
    """The cross-validation of one input's network."""
    plan = study_plan(protocol, spec.variant, image_input, spec.columns)
    cases = _cases(spec, plan, cohort.ready, cohort.division.test)
    return Training(f"{spec.name}-{image_input}", plan, cases, protocol.num_folds)


def _cases(spec: ModelSpec, plan: StudyPlan, ready: ReadyCohort, test: Sequence[CaseRow]) -> ProtocolCases:
    scaler = fitted_scaler(spec.development, plan.model.clinical) if plan.model.clinical else None
    return protocol_cases(ready, plan, spec.development, test, scaler)
