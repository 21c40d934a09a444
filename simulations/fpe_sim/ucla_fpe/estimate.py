"""What a run of a UCLA protocol would take."""

from fpe_sim.cohorts.flows import FLOWS
from fpe_sim.kinds import Estimate
from fpe_sim.rates import (
    phantom_bytes,
    phantom_seconds,
    preprocessed_bytes,
    preprocessing_seconds,
    pretraining_seconds,
    training_seconds,
    weights_bytes,
)
from fpe_sim.run_context import RunContext
from fpe_sim.ucla_fpe.cohorts import LABELLED, UNLABELLED
from fpe_sim.ucla_fpe.models import candidates, plan_of
from fpe_sim.ucla_fpe.protocol import UclaFpe

_DEVELOPMENT_SHARE = 0.75
"""Six of the cohort's eight years lie before the prospective ones."""


def estimate(protocol: UclaFpe, context: RunContext) -> Estimate:
    """Cases, trainings, time and disk of a run; every fold is taken to train for all its epochs.

    With a hospital's own cohort its size is not known before its table is read: the paper's stands in its place.
    """
    modality, recipe, jobs = protocol.modality, protocol.recipe, context.jobs
    scale = 1.0 if protocol.site else protocol.dials.scale
    cohorts = {name: FLOWS[name].num_cases(scale) for name in (LABELLED[modality], UNLABELLED[modality])}
    all_cases = sum(cohorts.values())
    networks = candidates(modality)
    num_trainings = len(networks) * protocol.num_folds
    model, settings = plan_of(protocol, networks[-1]).model, protocol.settings
    training_cases = round(_DEVELOPMENT_SHARE * cohorts[LABELLED[modality]]) * (protocol.num_folds - 1) * len(networks)
    epochs = settings.pretraining.rounds * settings.pretraining.plan.local_epochs
    pretraining = pretraining_seconds(model, recipe, cohorts[UNLABELLED[modality]], epochs, 1, context.device)
    training = training_seconds(
        model, recipe, training_cases, settings.training.local_epochs, min(jobs, num_trainings), context.device
    )
    phantoms = 0 if protocol.site else all_cases
    return Estimate(
        cohorts={str(name): count for name, count in cohorts.items()},
        num_trainings=num_trainings,
        seconds=phantom_seconds(modality, phantoms, jobs)
        + preprocessing_seconds(recipe, all_cases, jobs)
        # While one process pre-trains, the others train the folds that do not wait for it.
        + max(pretraining, pretraining / jobs + training),
        disk_bytes=phantom_bytes(modality, phantoms)
        + preprocessed_bytes(recipe, all_cases)
        + weights_bytes(model, recipe, num_trainings),
    )
