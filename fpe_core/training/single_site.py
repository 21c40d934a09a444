"""A single-site protocol: K-fold cross-validation on a development cohort, each fold's model tested on a fixed cohort.

As in UCLA's MNT-DL study (5 folds of the patients before 2020, tested on those from 2020 on) and Vall d'Hebron's (4
folds, tested on a fifth of the patients). Each fold is one long local round of `training.local_epochs` epochs; its
threshold is chosen on its validation cases alone.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from fpe_core.config.study import StudyPlan
from fpe_core.data.dataset import CaseDataset
from fpe_core.data.folds import patient_folds
from fpe_core.errors import DataError
from fpe_core.evaluation.thresholds import choose_threshold
from fpe_core.models.planned import initial_state, planned_model
from fpe_core.models.state import write_state
from fpe_core.seeds import derive_seed
from fpe_core.state import FlatState
from fpe_core.training.device import place
from fpe_core.training.fold_store import FoldOutcome, FoldStore
from fpe_core.training.hardware import Hardware
from fpe_core.training.local_round import RoundOutcome, train_round
from fpe_core.training.predict import Progress, no_progress, predict
from fpe_core.training.round_checkpoint import case_facts
from fpe_core.training.round_engine import PrivateStudy


@dataclass(frozen=True)
class ProtocolCases:
    """The two cohorts of a protocol.

    Attributes:
        development: cases to train and validate on.
        patients: the patient of each development case.
        test: cases that no choice depends on.
        test_patients: the patient of each test case.

    Raises:
        DataError: a patient is in both cohorts, or a case has no patient.
    """

    development: CaseDataset
    patients: tuple[str, ...]
    test: CaseDataset
    test_patients: tuple[str, ...]

    def __post_init__(self) -> None:
        for cases, patients in ((self.development, self.patients), (self.test, self.test_patients)):
            if len(cases) != len(patients):
                raise DataError(f"there should be a patient for each of {len(cases)} cases, got {len(patients)}")
        if both := set(self.patients) & set(self.test_patients):
            raise DataError(
                f"no patient should be in both cohorts, but {len(both)} are",
                hint="divide the cases into development and test by patient",
            )


def cross_validate(
    plan: StudyPlan,
    cases: ProtocolCases,
    *,
    num_folds: int,
    hardware: Hardware,
    folder: Path,
    start: FlatState | None = None,
    only_folds: Collection[int] | None = None,
    progress: Progress = no_progress,
) -> tuple[FoldOutcome, ...]:
    """Train and test one model per fold; a run that was cut off goes on in the epoch after the last whole one.

    Every fold starts from the same weights. With `training.privacy` each fold's model keeps the plan's ε by itself; the
    folds together spend more.

    Args:
        plan: network, training and seed; its federation and split sections play no part.
        cases: both cohorts.
        num_folds: K ≥ 2.
        hardware: what the folds train on.
        folder: the run's own folder.
        start: first weights, for example with a pre-trained encoder; None for the plan's own.
        only_folds: numbers of the folds to train and give, from 1, for processes that share a folder; None for all.
        progress: called after each step, its stage beginning with "fold 2 of 5".

    Raises:
        NotEnoughCases: a class has fewer patients than there are folds.
        CheckpointUnreadable: the folder holds another run's folds, or damaged ones.
    """
    begin = start or initial_state(plan)
    run = _Run(
        plan=plan,
        cases=cases,
        hardware=hardware,
        store=FoldStore(folder, _run_key(plan, cases, num_folds, begin)),
        start=begin,
        model=place(planned_model(plan), hardware.device),
    )
    outcomes = []
    for number, validation in enumerate(_validation_cases(plan, cases, num_folds), start=1):
        if only_folds is not None and number not in only_folds:
            continue
        named = _named(progress, f"fold {number} of {num_folds}")
        outcomes.append(run.store.load(number, begin.layout) or run.train_fold(number, validation, named))
    return tuple(outcomes)


@dataclass(frozen=True)
class _Run:
    """What the folds of one cross-validation share."""

    plan: StudyPlan
    cases: ProtocolCases
    hardware: Hardware
    store: FoldStore
    start: FlatState
    model: nn.Module

    def train_fold(self, number: int, validation_numbers: Sequence[int], progress: Progress) -> FoldOutcome:
        """Train, test and store one fold."""
        everything = self.cases.development.cases
        train_numbers = sorted(set(range(len(everything))) - set(validation_numbers))
        train, validation = self._some(train_numbers), self._some(validation_numbers)
        outcome = train_round(
            self.model,
            self.start,
            train=train,
            validation=validation,
            plan=self.plan.training,
            seed=derive_seed(self.plan.seed, "fold", number),
            hardware=self.hardware,
            progress=progress,
            checkpoint=self.store.round_checkpoint(number),
            private=PrivateStudy(num_rounds=1) if self.plan.training.privacy else None,
        )
        fold = self._judged(number, outcome, validation, progress)
        self.store.save(fold)
        return fold

    def _some(self, numbers: Sequence[int]) -> CaseDataset:
        development = self.cases.development
        return CaseDataset([development.cases[i] for i in numbers], development.channels, development.regions)

    def _judged(
        self, number: int, outcome: RoundOutcome, validation_cases: CaseDataset, progress: Progress
    ) -> FoldOutcome:
        write_state(self.model, outcome.trained)
        validation, test = (
            predict(self.model, part, plan=self.plan.training, hardware=self.hardware, progress=progress)
            for part in (validation_cases, self.cases.test)
        )
        threshold = choose_threshold(
            validation_probabilities=validation.probabilities, validation_labels=validation.labels
        )
        num_epochs = outcome.summary.num_epochs
        return FoldOutcome(number, outcome.trained, threshold, validation, test, num_epochs, outcome.accountant)


def validation_numbers(
    patients: Sequence[str], labels: Sequence[int], *, num_folds: int, plan_seed: int
) -> list[list[int]]:
    """Numbers of each fold's validation cases in `cross_validate`: all of a patient's cases are in the same fold.

    Args:
        patients: the patient of each development case.
        labels: its label, 0 or 1.
        num_folds: K.
        plan_seed: the study plan's seed.

    Raises:
        NotEnoughCases: a class has fewer patients than there are folds.
    """
    label_of: dict[str, int] = {}
    for patient, label in zip(patients, labels, strict=True):
        label_of[patient] = max(label, label_of.get(patient, 0))
    fold_of = patient_folds(label_of, num_folds=num_folds, seed=derive_seed(plan_seed, "folds"))
    return [[i for i, patient in enumerate(patients) if fold_of[patient] == fold] for fold in range(num_folds)]


def _validation_cases(plan: StudyPlan, cases: ProtocolCases, num_folds: int) -> list[list[int]]:
    labels = [case.label for case in cases.development.cases]
    return validation_numbers(cases.patients, labels, num_folds=num_folds, plan_seed=plan.seed)


def _run_key(plan: StudyPlan, cases: ProtocolCases, num_folds: int, start: FlatState) -> str:
    facts = {
        "plan": plan.fingerprint(),
        "num_folds": num_folds,
        "start": hashlib.sha256(start.values.tobytes()).hexdigest(),
        "cases": [case_facts(cases.development), case_facts(cases.test)],
        "patients": [cases.patients, cases.test_patients],
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _named(progress: Progress, fold: str) -> Progress:
    return lambda stage, done, total: progress(f"{fold}: {stage}", done, total)
