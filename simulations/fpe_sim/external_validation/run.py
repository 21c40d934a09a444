"""Runs an external validation: train and lock at each home, then visit."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fpe_core.evaluation.cases import FloatArray
from fpe_core.seeds import derive_seed
from fpe_core.training.fold_store import FoldOutcome
from fpe_sim.cohorts.ready import ReadyCohort, dataset_of, protocol_cases, ready_cohort
from fpe_sim.console import stage
from fpe_sim.external_validation.away import Visit, predict_away
from fpe_sim.external_validation.locks import Lock, lock_models
from fpe_sim.external_validation.pairs import PAPER_COHORTS, HospitalName, Pair
from fpe_sim.external_validation.participants import Participants, fewest_patients_of_a_class, participants
from fpe_sim.external_validation.protocol import ExternalValidationProtocol
from fpe_sim.external_validation.report import Validation, results_of
from fpe_sim.external_validation.results import LocalComparison, local_comparison, pair_result
from fpe_sim.protocol_results import ProtocolResults
from fpe_sim.run_context import RunContext
from fpe_sim.stages import timed
from fpe_sim.trainings import Training, cross_validate_all

Folds = tuple[FoldOutcome, ...]
Probabilities = tuple[FloatArray, ...]


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
        here = {pair: this.participants(cohorts[home], home, pair) for pair in protocol.pairs if pair.home == home}
        trained = this.trained(
            cohorts[home], {pair: cases for pair, cases in here.items() if this.can_train(pair, cases)}
        )
        at_home |= here
        folds |= trained
        locks |= {pair: this.locked(pair, outcome) for pair, outcome in trained.items()}
    for pair in protocol.pairs:
        if pair.away not in cohorts:
            cohorts[pair.away] = this.cohort(pair.away)
    visited = {pair: this.participants(cohorts[pair.away], pair.away, pair) for pair in protocol.pairs}
    away = this.visits(cohorts, {pair: visited[pair] for pair in locks})
    results = tuple(
        pair_result(pair, lock, folds[pair], visited[pair], away[pair], seed=protocol.seed)
        for pair, lock in locks.items()
    )
    own = _beside_own_models(folds, visited, away)
    return results_of(protocol, context, Validation(cohorts, at_home, visited, results, own))


@dataclass(frozen=True)
class _Run:
    """The steps, each of which finds again what it left in the folder."""

    protocol: ExternalValidationProtocol
    context: RunContext

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
        """Those of the cohort who have the pair's outcome: the same, whichever way the pair goes."""
        seed = derive_seed(self.protocol.seed, "home test", hospital, pair.label)
        return participants(cohort, pair.label, self.protocol.hospital(hospital), seed=seed)

    def can_train(self, pair: Pair, cases: Participants) -> bool:
        """Whether every fold can have a patient of each class."""
        return fewest_patients_of_a_class(cases.development, pair.label) >= self.protocol.hospital(pair.home).num_folds

    def trained(self, cohort: ReadyCohort, cases: Mapping[Pair, Participants]) -> dict[Pair, Folds]:
        """The folds of all pairs of one home, side by side."""
        trainings = [self._training(cohort, pair, taking_part) for pair, taking_part in cases.items()]
        with timed(self.context.folder, "trainings"), stage(f"folds at {cohort.name}") as progress:
            found = cross_validate_all(trainings, context=self.context, progress=progress)
        return {pair: found[pair.name] for pair in cases}

    def _training(self, cohort: ReadyCohort, pair: Pair, cases: Participants) -> Training:
        plan = self.protocol.study(pair)
        return Training(
            name=pair.name,
            plan=plan,
            cases=protocol_cases(cohort, plan, cases.development, cases.test),
            num_folds=self.protocol.hospital(pair.home).num_folds,
        )

    def locked(self, pair: Pair, folds: Folds) -> Lock:
        """The lock of a pair's models."""
        return lock_models(self._lock_file(pair), self.protocol.study(pair), self._training_folder(pair), folds)

    def visits(
        self, cohorts: Mapping[HospitalName, ReadyCohort], visited: Mapping[Pair, Participants]
    ) -> dict[Pair, Probabilities]:
        """What the locked models say about the cases that they visit."""
        visits = [
            Visit(
                lock_file=self._lock_file(pair),
                plan=(plan := self.protocol.study(pair)),
                training_folder=self._training_folder(pair),
                cases=dataset_of(cohorts[pair.away], cases.rows, plan),
                folder=self.context.folder / "away" / pair.name,
            )
            for pair, cases in visited.items()
        ]
        with timed(self.context.folder, "predictions away"), stage("predictions away from home") as progress:
            return dict(zip(visited, predict_away(visits, context=self.context, progress=progress), strict=True))

    def _lock_file(self, pair: Pair) -> Path:
        return self.context.folder / "locks" / f"{pair.name}.json"

    def _training_folder(self, pair: Pair) -> Path:
        return self.context.trainings / pair.name


def _beside_own_models(
    folds: Mapping[Pair, Folds], visited: Mapping[Pair, Participants], away: Mapping[Pair, Probabilities]
) -> tuple[LocalComparison, ...]:
    """Where a hospital has its own model for an outcome: that one beside the visitor's."""
    made = (
        local_comparison(folds[own], visited[visitor], visitor, away[visitor])
        for visitor in away
        if (own := Pair(visitor.away, visitor.label)) in folds
    )
    return tuple(one for one in made if one is not None)
