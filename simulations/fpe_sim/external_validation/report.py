"""Puts the results of an external validation together."""

from collections.abc import Mapping
from dataclasses import dataclass

from fpe_sim.cohorts.ready import ReadyCohort
from fpe_sim.external_validation.departures import departures
from fpe_sim.external_validation.figures import draw_figures
from fpe_sim.external_validation.findings import findings, numbers
from fpe_sim.external_validation.pairs import HOSPITAL_TITLES, LABEL_TITLES, HospitalName, Pair
from fpe_sim.external_validation.paper import SOURCES
from fpe_sim.external_validation.participants import Participants
from fpe_sim.external_validation.protocol import ExternalValidationProtocol
from fpe_sim.external_validation.reachable import reachable_from_images
from fpe_sim.external_validation.results import LocalComparison, PairResult
from fpe_sim.external_validation.tables import tables
from fpe_sim.protocol_results import CohortFacts, ProtocolResults
from fpe_sim.run_context import RunContext
from fpe_sim.run_facts import run_facts
from fpe_sim.stages import timed


@dataclass(frozen=True, eq=False)
class Validation:
    """What was done and found.

    Attributes:
        cohorts: of both hospitals.
        at_home: cases of each pair's home.
        visited: cases of each pair's other hospital.
        results: of each pair that could be trained.
        own: visiting models beside the hospitals' own.
    """

    cohorts: Mapping[HospitalName, ReadyCohort]
    at_home: Mapping[Pair, Participants]
    visited: Mapping[Pair, Participants]
    results: tuple[PairResult, ...]
    own: tuple[LocalComparison, ...]

    @property
    def synthetic(self) -> bool:
        """Whether any case is a phantom."""
        return any(cohort.synthetic for cohort in self.cohorts.values())

    @property
    def not_run(self) -> list[Pair]:
        """Pairs with too few patients to train on."""
        return [pair for pair in self.at_home if pair not in {one.pair for one in self.results}]


def results_of(protocol: ExternalValidationProtocol, context: RunContext, validation: Validation) -> ProtocolResults:
    """Draw the figures and fill the tables."""
    results, own = validation.results, validation.own
    reachable = reachable_from_images(validation.cohorts, protocol.labels)
    both = {pair: (cases, validation.visited[pair]) for pair, cases in validation.at_home.items()}
    with timed(context.folder, "figures"):
        figures = tuple(figure for one in results for figure in draw_figures(one, context.figures))
    reached = {f"reachable.{hospital}.{label}": auc for (hospital, label), auc in reachable.items()}
    return ProtocolResults(
        **run_facts(protocol, context),
        title="External validation: UCLA and Vall d'Hebron, each model at the other hospital",
        sources=SOURCES,
        synthetic=validation.synthetic,
        cohorts=_facts(validation),
        findings=findings(results, own),
        numbers=numbers(results, own) | reached,
        tables=tables(results, own, both, reachable),
        figures=figures,
        discrepancies=departures(protocol, validation.not_run, synthetic=validation.synthetic),
    )


def _facts(validation: Validation) -> tuple[CohortFacts, ...]:
    """One entry for each hospital and outcome."""
    taking_part = {(pair.home, pair.label): cases for pair, cases in validation.at_home.items()}
    taking_part |= {(pair.away, pair.label): cases for pair, cases in validation.visited.items()}
    return tuple(
        cohort.facts(label, cases.flow).model_copy(
            update={
                "name": f"{HOSPITAL_TITLES[hospital]}, {LABEL_TITLES[label]}",
                "reachable_auc": dict(cohort.reachable_auc_by_task.get(label, {})),
            }
        )
        for (hospital, label), cases in taking_part.items()
        for cohort in (validation.cohorts[hospital],)
    )
