"""From folds to what the report shows."""

from collections.abc import Mapping
from dataclasses import dataclass

from fpe_core.evaluation.figures_roc import draw_mean_roc
from fpe_core.training.fold_store import FoldOutcome
from fpe_sim.cohorts.discrepancies import ucla_discrepancies
from fpe_sim.cohorts.ready import ReadyCohort
from fpe_sim.figure_files import save_figure
from fpe_sim.pretrained import Pretrained
from fpe_sim.protocol_results import CohortFacts, ProtocolResults, ResultFigure, ResultTable
from fpe_sim.run_context import RunContext
from fpe_sim.run_facts import run_facts
from fpe_sim.ucla_fpe.cohorts import Cohorts
from fpe_sim.ucla_fpe.departures import departures
from fpe_sim.ucla_fpe.figures import pretraining_figure, roc_caption
from fpe_sim.ucla_fpe.findings import findings, numbers
from fpe_sim.ucla_fpe.measured import Difference, Measured, difference, measure
from fpe_sim.ucla_fpe.models import BASE, SSL
from fpe_sim.ucla_fpe.paper import CONTRADICTIONS, CROSS_VALIDATION
from fpe_sim.ucla_fpe.protocol import UclaFpe
from fpe_sim.ucla_fpe.tables import (
    auc_table,
    comparison_table,
    cross_validation_table,
    flow_table,
    prospective_table,
)

_NAMES = {"mr": "MR", "ct": "CT"}


@dataclass(frozen=True, eq=False)
class Run:
    """Everything that was made.

    Attributes:
        cohorts: patients and scans.
        patients: table 1.
        folds: of each network, by its name.
        pretrained: what self-supervision gave.
        num_scans: scans that it saw.
    """

    cohorts: Cohorts
    patients: ResultTable
    folds: Mapping[str, tuple[FoldOutcome, ...]]
    pretrained: Pretrained
    num_scans: int


def results_of(protocol: UclaFpe, context: RunContext, made: Run) -> ProtocolResults:
    """Tables, figures and sentences; figures are written."""
    labelled, who = made.cohorts.labelled, made.cohorts.who
    measured = {name: measure(folds) for name, folds in made.folds.items()}
    gain = difference(made.folds[SSL], made.folds[BASE])
    reachable, history = labelled.reachable_auc, made.pretrained.history
    return ProtocolResults(
        **run_facts(protocol, context),
        title=f"First-pass effect from {_NAMES[protocol.modality]}: MNT-DL with and without self-supervision",
        sources=("Zhang et al., AJNR 2024",),
        synthetic=labelled.synthetic or made.cohorts.unlabelled.synthetic,
        cohorts=(labelled.facts("fpe", who.flow), _scans(made.cohorts.unlabelled, made.num_scans)),
        findings=findings(measured, gain, who, reachable.get("images"), history, made.num_scans),
        numbers=numbers(protocol.modality, measured, gain, who, reachable, history, made.num_scans),
        tables=_tables(protocol, made, measured, gain),
        figures=_figures(context, made, measured),
        discrepancies=(*ucla_discrepancies(), *CONTRADICTIONS[protocol.modality], *departures(protocol)),
    )


def _tables(
    protocol: UclaFpe, made: Run, measured: Mapping[str, Measured], gain: Difference
) -> tuple[ResultTable, ...]:
    modality, who, day = protocol.modality, made.cohorts.who, str(protocol.test_from)
    printed = CROSS_VALIDATION[modality]
    paper_gain = float(printed[SSL][0].split()[0]) - float(printed[BASE][0].split()[0])
    return (
        made.patients,
        flow_table(modality, who, made.num_scans, day),
        cross_validation_table(modality, measured, protocol.num_folds),
        prospective_table(modality, measured, len(who.test), day),
        auc_table(measured),
        comparison_table(gain, f"{paper_gain:+.4f}"),
    )


def _figures(context: RunContext, made: Run, measured: Mapping[str, Measured]) -> tuple[ResultFigure, ...]:
    curves = {name: one.test_roc for name, one in measured.items()}
    save_figure(draw_mean_roc({SSL: curves[SSL]}), context.figures, "figure-4-roc")
    save_figure(draw_mean_roc(curves, bands=False), context.figures, "roc-all-networks")
    save_figure(pretraining_figure(made.pretrained.history), context.figures, "self-supervision")
    caption = roc_caption(len(made.cohorts.who.test), len(made.folds[SSL]))
    return (
        ResultFigure(
            id="figure-4-roc",
            title=f"Figure 4. Mean ROC curve of {SSL}, prospective test",
            caption=f"{caption} The band is one standard deviation between models.",
        ),
        ResultFigure(id="roc-all-networks", title="Mean ROC curves of all networks, prospective test", caption=caption),
        ResultFigure(
            id="self-supervision",
            title="Self-supervision",
            caption=f"Loss of SimSiam on {made.num_scans} scans, −1 where two views of each scan look alike, and "
            "spread of the projections, 0 where all scans look alike.",
        ),
    )


def _scans(cohort: ReadyCohort, num_scans: int) -> CohortFacts:
    return CohortFacts(
        name=cohort.name,
        synthetic=cohort.synthetic,
        num_eligible=cohort.num_rows,
        num_included=num_scans,
        num_positive=0,
        excluded={"not usable, or of a labelled patient": left} if (left := cohort.num_rows - num_scans) else {},
    )
