"""Runs an external validation: train and lock at each home, then visit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from numpy import float64
from numpy.typing import NDArray

from fpe_core.data.dataset import CaseDataset
from fpe_core.seeds import derive_seed
from fpe_core.training.device import choose_device
from fpe_core.training.fold_store import FoldOutcome
from fpe_sim.cohorts.ready import ReadyCohort, dataset_of, protocol_cases, ready_cohort
from fpe_sim.console import stage
from fpe_sim.external_validation.away import Visit, predict_away
from fpe_sim.external_validation.departures import departures
from fpe_sim.external_validation.figures import draw_figures
from fpe_sim.external_validation.findings import findings, numbers
from fpe_sim.external_validation.locks import Lock, lock_models
from fpe_sim.external_validation.pairs import HOSPITAL_TITLES, LABEL_TITLES, PAPER_COHORTS, HospitalName, Pair
from fpe_sim.external_validation.paper import SOURCES
from fpe_sim.external_validation.participants import Participants, fewest_patients_of_a_class, participants
from fpe_sim.external_validation.protocol import ExternalValidationProtocol
from fpe_sim.external_validation.reachable import reachable_from_images
from fpe_sim.external_validation.results import LocalComparison, PairResult, local_comparison, pair_result
from fpe_sim.external_validation.tables import tables
from fpe_sim.protocol_results import CohortFacts, ProtocolResults
from fpe_sim.run_context import RunContext
from fpe_sim.stages import stage_seconds, timed
from fpe_sim.trainings import Training, cross_validate_all

_PACKAGES = ("fpe-federation", "torch", "numpy", "scikit-learn", "statsmodels", "ray")
Folds = tuple[FoldOutcome, ...]
Probabilities = tuple[NDArray[float64], ...]


@dataclass(frozen=True)
class _Run:
    protocol: ExternalValidationProtocol
    context: RunContext

    def lock_file(self, pair: Pair) -> Path:
        return self.context.folder / "locks" / f"{pair.name}.json"

    def training_folder(self, pair: Pair) -> Path:
        return self.context.trainings / pair.name

    def cohort(self, hospital: HospitalName) -> ReadyCohort:
        """The hospital's cases, made and preprocessed."""
        protocol, context = self.protocol, self.context
        with timed(context.folder, f"cohort {hospital}"):
            return ready_cohort(
                PAPER_COHORTS[hospital],
                protocol.network.recipe,
                context=context,
                seed=protocol.seed,
                scale=protocol.dials.scale,
                site_file=protocol.hospital(hospital).site,
            )

    def participants(self, cohort: ReadyCohort, hospital: HospitalName, pair: Pair) -> Participants:
        seed = derive_seed(self.protocol.seed, "home test", hospital, pair.label)
        return participants(cohort, pair.label, self.protocol.hospital(hospital), seed=seed)


def run(protocol: ExternalValidationProtocol, context: RunContext) -> ProtocolResults:
    """Train at home, lock, visit, judge; what was finished before is kept.

    A home's models are locked before the cohort that they visit is opened for them: nothing about it decides anything
    of theirs.

    Raises:
        FpeError: a cohort cannot be used, a training failed, or the folder holds other models.
    """
    this = _Run(protocol, context)
    cohorts: dict[HospitalName, ReadyCohort] = {}
    at_home: dict[Pair, Participants] = {}
    folds: dict[Pair, Folds] = {}
    locks: dict[Pair, Lock] = {}
    for home in protocol.homes:
        cohorts[home] = this.cohort(home)
        pairs = [pair for pair in protocol.pairs if pair.home == home]
        at_home |= {pair: this.participants(cohorts[home], home, pair) for pair in pairs}
        able = [pair for pair in pairs if _is_trainable(protocol, pair, at_home[pair])]
        folds |= _train(this, cohorts[home], {pair: at_home[pair] for pair in able})
        locks |= {
            pair: lock_models(this.lock_file(pair), protocol.study(pair), this.training_folder(pair), folds[pair])
            for pair in able
        }
    for pair in protocol.pairs:
        if pair.away not in cohorts:
            cohorts[pair.away] = this.cohort(pair.away)
    visited = {pair: this.participants(cohorts[pair.away], pair.away, pair) for pair in protocol.pairs}
    away = _visit(this, cohorts, {pair: visited[pair] for pair in locks})
    results = [
        pair_result(pair, lock, folds[pair], visited[pair], away[pair], seed=protocol.seed)
        for pair, lock in locks.items()
    ]
    return _told(this, cohorts, at_home, visited, results, _own_models(folds, visited, away))


def _is_trainable(protocol: ExternalValidationProtocol, pair: Pair, cases: Participants) -> bool:
    return fewest_patients_of_a_class(cases.development, pair.label) >= protocol.hospital(pair.home).num_folds


def _train(this: _Run, cohort: ReadyCohort, cases: Mapping[Pair, Participants]) -> dict[Pair, Folds]:
    trainings = [
        Training(
            name=pair.name,
            plan=plan,
            cases=protocol_cases(cohort, plan, taking_part.development, taking_part.test),
            num_folds=this.protocol.hospital(pair.home).num_folds,
        )
        for pair, taking_part in cases.items()
        for plan in (this.protocol.study(pair),)
    ]
    with timed(this.context.folder, "trainings"), stage(f"folds at {cohort.name}") as progress:
        found = cross_validate_all(trainings, context=this.context, progress=progress)
    return {pair: found[pair.name] for pair in cases}


def _visit(
    this: _Run, cohorts: Mapping[HospitalName, ReadyCohort], visited: Mapping[Pair, Participants]
) -> dict[Pair, Probabilities]:
    visits = [
        Visit(
            lock_file=this.lock_file(pair),
            plan=this.protocol.study(pair),
            training_folder=this.training_folder(pair),
            cases=_dataset(this.protocol, cohorts[pair.away], pair, taking_part),
            folder=this.context.folder / "away" / pair.name,
        )
        for pair, taking_part in visited.items()
    ]
    with timed(this.context.folder, "predictions away"), stage("predictions away from home") as progress:
        return dict(zip(visited, predict_away(visits, context=this.context, progress=progress), strict=True))


def _dataset(protocol: ExternalValidationProtocol, cohort: ReadyCohort, pair: Pair, cases: Participants) -> CaseDataset:
    return dataset_of(cohort, cases.rows, protocol.study(pair))


def _own_models(
    folds: Mapping[Pair, Folds], visited: Mapping[Pair, Participants], away: Mapping[Pair, Probabilities]
) -> list[LocalComparison]:
    """Where a hospital has its own model for an outcome: that one beside the visitor's."""
    made = (
        local_comparison(folds[own], visited[visitor], visitor, away[visitor])
        for visitor in away
        if (own := Pair(visitor.away, visitor.label)) in folds
    )
    return [one for one in made if one is not None]


def _told(
    this: _Run,
    cohorts: Mapping[HospitalName, ReadyCohort],
    at_home: Mapping[Pair, Participants],
    visited: Mapping[Pair, Participants],
    results: Sequence[PairResult],
    locals_: Sequence[LocalComparison],
) -> ProtocolResults:
    protocol, context = this.protocol, this.context
    reachable = reachable_from_images(cohorts, protocol.labels)
    with timed(context.folder, "figures"):
        figures = tuple(figure for one in results for figure in draw_figures(one, context.figures))
    left_out = [pair for pair in protocol.pairs if pair not in {one.pair for one in results}]
    return ProtocolResults(
        protocol=protocol.name,
        kind=protocol.kind,
        title="External validation: UCLA and Vall d'Hebron, each model at the other hospital",
        sources=SOURCES,
        synthetic=any(cohort.synthetic for cohort in cohorts.values()),
        scale=protocol.dials.scale,
        images=protocol.dials.images,
        seed=protocol.seed,
        device=str(choose_device(context.device)),
        software={name: version(name) for name in _PACKAGES},
        seconds=stage_seconds(context.folder),
        cohorts=_facts(cohorts, at_home, visited),
        findings=findings(results, locals_),
        numbers=numbers(results, locals_)
        | {f"reachable.{hospital}.{label}": auc for (hospital, label), auc in reachable.items()},
        tables=tables(results, locals_, {pair: (at_home[pair], visited[pair]) for pair in protocol.pairs}, reachable),
        figures=figures,
        discrepancies=departures(protocol, left_out, synthetic=any(cohort.synthetic for cohort in cohorts.values())),
    )


def _facts(
    cohorts: Mapping[HospitalName, ReadyCohort],
    at_home: Mapping[Pair, Participants],
    visited: Mapping[Pair, Participants],
) -> tuple[CohortFacts, ...]:
    """One entry for each hospital and outcome."""
    taking_part = {(pair.home, pair.label): cases for pair, cases in at_home.items()}
    taking_part |= {(pair.away, pair.label): cases for pair, cases in visited.items()}
    return tuple(
        cohorts[hospital]
        .facts(label, cases.flow)
        .model_copy(update={"name": f"{HOSPITAL_TITLES[hospital]}, {LABEL_TITLES[label]}"})
        for (hospital, label), cases in taking_part.items()
    )
