"""Runs the protocol: cohort, regressions, networks, models B and C, results."""

from fpe_core.models.planned import planned_model
from fpe_core.training.device import check_precision, choose_device
from fpe_sim.cohorts.ready import ReadyCohort, ready_cohort
from fpe_sim.protocol_results import ProtocolResults
from fpe_sim.run_context import RunContext
from fpe_sim.stages import timed
from fpe_sim.vdh_rlvo.ablation import ablation_study
from fpe_sim.vdh_rlvo.baselines import clinical_folds, found_odds_ratios
from fpe_sim.vdh_rlvo.cohort import study_cohort
from fpe_sim.vdh_rlvo.networks import all_variants, study_plan
from fpe_sim.vdh_rlvo.protocol import VdhProtocol
from fpe_sim.vdh_rlvo.results import results_of
from fpe_sim.vdh_rlvo.study import Study
from fpe_sim.vdh_rlvo.trained import full_spec, trained_models


def run(protocol: VdhProtocol, context: RunContext) -> ProtocolResults:
    """Run the protocol, or go on where it stopped.

    Raises:
        TrainingError: a precision that trains wrongly on this device; told before the cohort is made.
        NotEnoughCases: a fold or the test cohort would lack a class.
        FpeError: the cohort's files are wrong, or a training failed.
    """
    plan = study_plan(protocol, all_variants(protocol)[0], protocol.inputs[0])
    check_precision(planned_model(plan), choose_device(context.device), plan.training.precision)
    with timed(context.folder, "cohort"):
        ready = ready_cohort(
            "vdh",
            protocol.recipe,
            context=context,
            seed=protocol.seed,
            scale=protocol.dials.scale,
            site_file=protocol.site,
        )
    return run_on(ready, protocol, context)


def run_on(ready: ReadyCohort, protocol: VdhProtocol, context: RunContext) -> ProtocolResults:
    """The protocol on a cohort that is preprocessed.

    Raises:
        NotEnoughCases: a fold or the test cohort would lack a class.
        FpeError: a training failed.
    """
    cohort = study_cohort(ready, protocol)
    with timed(context.folder, "regressions"):
        clinical = clinical_folds(cohort.division, protocol)
        odds = found_odds_ratios(cohort.division.development)
    with timed(context.folder, "trainings"):
        variants = all_variants(protocol)
        trained = trained_models([full_spec(variant, cohort) for variant in variants], cohort, protocol, context)
        models = dict(zip(variants, trained, strict=True))
    with timed(context.folder, "models A, B and C"):
        ablation = ablation_study(models, cohort, protocol, context)
    return results_of(Study(protocol, cohort, clinical, odds, models, ablation), context)
