"""Runs the protocol: cohort, radiomics, networks, report."""

from fpe_sim.cohorts.ready import ReadyCohort, ready_cohort
from fpe_sim.console import stage
from fpe_sim.protocol_results import ProtocolResults
from fpe_sim.run_context import RunContext
from fpe_sim.run_facts import run_facts
from fpe_sim.stages import timed
from fpe_sim.ucla_scanet.baseline import cross_validate_radiomics
from fpe_sim.ucla_scanet.figures import save_all_figures
from fpe_sim.ucla_scanet.held_out import TASK, held_out_folds
from fpe_sim.ucla_scanet.networks import SEQUENCES, held_out_predictions, train_networks
from fpe_sim.ucla_scanet.outcome import ScanetOutcome
from fpe_sim.ucla_scanet.paper import RADIOMICS, SOURCE
from fpe_sim.ucla_scanet.protocol import UclaScanet
from fpe_sim.ucla_scanet.radiomics.store import feature_table
from fpe_sim.ucla_scanet.sentences import discrepancies, findings, numbers
from fpe_sim.ucla_scanet.tables import all_tables


def run(protocol: UclaScanet, context: RunContext) -> ProtocolResults:
    """Run the protocol, or go on where it stopped.

    Raises:
        FpeError: the site's files are wrong, a class has fewer patients than folds, or a training failed.
    """
    with timed(context.folder, "cohort"):
        cohort = ready_cohort(
            "ucla-scanet",
            protocol.setting.recipe,
            context=context,
            seed=protocol.seed,
            scale=protocol.dials.scale,
            site_file=protocol.site,
        )
    outcome = measure(protocol, cohort, context)
    figures = save_all_figures(outcome, context)
    return ProtocolResults(
        **run_facts(protocol, context),
        title="Recanalization from CT and CTA: SCANet, ResNet34 and radiomics",
        sources=(SOURCE,),
        synthetic=cohort.synthetic,
        cohorts=(outcome.facts,),
        findings=findings(outcome),
        numbers=numbers(outcome),
        tables=all_tables(outcome),
        figures=figures,
        discrepancies=discrepancies(protocol, outcome),
    )


def measure(protocol: UclaScanet, cohort: ReadyCohort, context: RunContext) -> ScanetOutcome:
    """Measure all three models on a cohort; what is finished is kept in `context.folder`.

    Raises:
        NotEnoughCases: a class has fewer patients than folds.
        FpeError: a training failed.
    """
    flow = cohort.flow(TASK, SEQUENCES)
    rows = [row for row in cohort.rows if row.case_id in flow.arm_of]
    # First of all, so that a cohort that is too small is told before anything is trained.
    folds = held_out_folds(rows, num_folds=protocol.cross_validation.folds, seed=protocol.seed)
    with timed(context.folder, "radiomics"), stage("radiomics features") as progress:
        table = feature_table(cohort, rows, SEQUENCES, protocol.setting.recipe, context=context, progress=progress)
    baseline = cross_validate_radiomics(protocol, folds, rows, table)
    with timed(context.folder, "trainings"), stage("trainings of ResNet34 and SCANet") as progress:
        outcomes = train_networks(protocol, cohort, folds, context=context, progress=progress)
    return ScanetOutcome(
        facts=cohort.facts(TASK, flow).model_copy(update={"reachable_auc": dict(cohort.reachable_for(TASK))}),
        flow=flow,
        predictions={
            RADIOMICS: baseline.folds,
            **{model: held_out_predictions(of_folds) for model, of_folds in outcomes.items()},
        },
        num_epochs={model: tuple(one.num_epochs for one in of_folds) for model, of_folds in outcomes.items()},
        baseline=baseline,
    )
