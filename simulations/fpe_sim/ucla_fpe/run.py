"""Runs a UCLA protocol: cohorts, pre-training beside the folds that do not need it, the other folds, results."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from fpe_core.errors import TrainingFailed
from fpe_core.training.fold_store import FoldOutcome
from fpe_sim.cohorts.ready import protocol_cases
from fpe_sim.console import say, stage
from fpe_sim.pretrained import Pretrained, Pretraining, load_pretrained, pretrain
from fpe_sim.protocol_results import ProtocolResults
from fpe_sim.ray_tasks import run_tasks
from fpe_sim.run_context import RunContext
from fpe_sim.stages import timed
from fpe_sim.trainings import Training, cross_validate_all, train_fold, unfinished_folds
from fpe_sim.ucla_fpe.cohorts import Cohorts, ready_cohorts
from fpe_sim.ucla_fpe.demographics import demographics
from fpe_sim.ucla_fpe.models import SSL, candidates, plan_of
from fpe_sim.ucla_fpe.participants import unlabelled_scans
from fpe_sim.ucla_fpe.protocol import UclaFpe
from fpe_sim.ucla_fpe.results import Run, results_of


def run(protocol: UclaFpe, context: RunContext) -> ProtocolResults:
    """Run the protocol, or go on where it stopped.

    Raises:
        FpeError: a cohort or a training failed.
    """
    with timed(context.folder, "cohorts"):
        cohorts = ready_cohorts(protocol, context)
    return run_on(cohorts, protocol, context)


def run_on(cohorts: Cohorts, protocol: UclaFpe, context: RunContext) -> ProtocolResults:
    """Train, evaluate and draw with cohorts that are ready.

    Raises:
        FpeError: a training failed.
    """
    # Before the trainings, so that a table that cannot be evaluated is told at once.
    patients = demographics(protocol, cohorts.who)
    trainings = trainings_of(protocol, cohorts)
    pretraining = pretraining_of(protocol, cohorts)
    say(
        f"{len(cohorts.who.development)} development and {len(cohorts.who.test)} prospective patients, "
        f"{len(pretraining.scans)} scans for self-supervision"
    )
    with timed(context.folder, "trainings"):
        pretrained = _pretrained(pretraining, [one for name, one in trainings.items() if name != SSL], context)
        trainings[SSL] = replace(trainings[SSL], start=pretrained.start(trainings[SSL].plan))
        folds = _cross_validated(trainings, context)
    return results_of(protocol, context, Run(cohorts, patients, folds, pretrained, len(pretraining.scans)))


def trainings_of(protocol: UclaFpe, cohorts: Cohorts) -> dict[str, Training]:
    """A cross-validation for each network, by the network's name; all start from weights of the plan's seed."""
    plans = {one: plan_of(protocol, one) for one in candidates(protocol.modality)}
    who = cohorts.who
    return {
        one.name: Training(
            name=one.slug,
            plan=plan,
            cases=protocol_cases(cohorts.labelled, plan, who.development, who.test),
            num_folds=protocol.num_folds,
        )
        for one, plan in plans.items()
    }


def pretraining_of(protocol: UclaFpe, cohorts: Cohorts) -> Pretraining:
    """Self-supervision of the network that sees all sequences."""
    plan = plan_of(protocol, next(one for one in candidates(protocol.modality) if one.pretrained))
    section = protocol.settings.pretraining
    # Those of the folds as well: MNT-DL without pre-training has not seen the scans that it is judged by.
    kept_out = {row.patient_id for row in cohorts.who.included}
    return Pretraining(plan, section.plan, section.rounds, unlabelled_scans(cohorts.unlabelled, plan, kept_out))


def _pretrained(pretraining: Pretraining, beside: list[Training], context: RunContext) -> Pretrained:
    """Pre-train on one CPU or GPU share while the others train the folds that do not wait for it."""
    path = context.trainings / "pretraining.safetensors"
    found = load_pretrained(pretraining, path)
    if found is None or found.num_rounds < pretraining.num_rounds:
        pretrain_task = (pretrain, (pretraining, path, context.device))
        fold_tasks = [(train_fold, fold) for fold in unfinished_folds(beside, context)]
        with stage("self-supervision, and the folds without it") as progress:
            run_tasks(_call, [pretrain_task, *fold_tasks], context=context, progress=progress)
        found = load_pretrained(pretraining, path)
    if found is None:
        raise TrainingFailed(f"{path} should be there after pre-training, but is not")
    return found


def _cross_validated(trainings: Mapping[str, Training], context: RunContext) -> dict[str, tuple[FoldOutcome, ...]]:
    with stage("folds") as progress:
        folds = cross_validate_all(list(trainings.values()), context=context, progress=progress)
    return {name: folds[one.name] for name, one in trainings.items()}


def _call(function: Callable[..., None], arguments: tuple[object, ...]) -> None:
    function(*arguments)
