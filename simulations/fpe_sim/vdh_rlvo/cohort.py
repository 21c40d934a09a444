"""The cohort of the protocol: who takes part, and who develops and who tests (EJR 2025, section 2.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fpe_core.config.study import ClinicalColumn
from fpe_core.data.case_table import CaseRow
from fpe_core.data.clinical_columns import RLVO_COLUMNS
from fpe_core.data.folds import patient_folds
from fpe_core.data.inclusion import Flow
from fpe_core.data.labels import label_of
from fpe_core.data.tabular import TableScaler, raw_columns
from fpe_core.errors import NotEnoughCases
from fpe_core.seeds import derive_seed
from fpe_core.training.single_site import validation_numbers
from fpe_sim.cohorts.ready import ReadyCohort
from fpe_sim.vdh_rlvo.networks import COHORT_SEQUENCES, TASK, plan_seed
from fpe_sim.vdh_rlvo.protocol import VdhProtocol

TEST_PARTS: Final = 5
"""One of so many parts of the patients is the test cohort: 80/20."""


@dataclass(frozen=True)
class Division:
    """Included cases. No patient is in both."""

    development: tuple[CaseRow, ...]
    test: tuple[CaseRow, ...]


@dataclass(frozen=True)
class StudyCohort:
    """The protocol's cases.

    Attributes:
        ready: cohort and preprocessed files.
        flow: of all columns.
        division: included cases.
    """

    ready: ReadyCohort
    flow: Flow
    division: Division

    def flow_without(self, columns: Sequence[ClinicalColumn]) -> Flow:
        """The flow for a model that sees these columns only."""
        return self.ready.flow(TASK, COHORT_SEQUENCES, columns)


def study_cohort(ready: ReadyCohort, protocol: VdhProtocol) -> StudyCohort:
    """Include and divide.

    Raises:
        NotEnoughCases: a fold or the test cohort would lack a class.
    """
    flow = ready.flow(TASK, COHORT_SEQUENCES, RLVO_COLUMNS)
    rows = [row for row in ready.rows if row.case_id in flow.arm_of]
    division = divided(ready, rows, seed=derive_seed(protocol.seed, "test cohort"))
    _check_classes(division, protocol)
    return StudyCohort(replace(ready, reachable_auc=ready.reachable_for(TASK)), flow, division)


def divided(ready: ReadyCohort, rows: Sequence[CaseRow], *, seed: int) -> Division:
    """As the cohort says where it does (phantoms), else a fifth of the patients, with its share of positive ones.

    Raises:
        NotEnoughCases: a class has fewer than five patients.
    """
    if ready.groups:
        testing = {row.patient_id for row in rows if ready.groups.get(row.case_id) == "test"}
    else:
        part_of = patient_folds(_labels_by_patient(rows), num_folds=TEST_PARTS, seed=seed)
        testing = {patient for patient, part in part_of.items() if part == 0}
    return Division(
        development=tuple(row for row in rows if row.patient_id not in testing),
        test=tuple(row for row in rows if row.patient_id in testing),
    )


def recovered(cohort: StudyCohort, columns: Sequence[ClinicalColumn]) -> tuple[CaseRow, ...]:
    """Development cases of model C: those of model A, and those that only its missing columns kept out.

    The test cohort stays as it is, and so its patients' other cases, if there are any, stay out.
    """
    testing = {row.patient_id for row in cohort.division.test}
    seen = cohort.ready.included(TASK, COHORT_SEQUENCES, columns)
    return tuple(row for row in seen if row.patient_id not in testing)


def fitted_scaler(development: Sequence[CaseRow], columns: Sequence[ClinicalColumn]) -> TableScaler:
    """Ranges and fill-in values of the development cases alone."""
    return TableScaler.fit(raw_columns(development, columns), columns)


def labels_of(rows: Sequence[CaseRow]) -> NDArray[np.int64]:
    """`(N,)` 0 or 1 of included cases."""
    return np.array([label_of(TASK, row) or 0 for row in rows], dtype=np.int64)


def fold_numbers(rows: Sequence[CaseRow], protocol: VdhProtocol) -> list[list[int]]:
    """Numbers of each fold's validation cases among `rows`: the folds of every network of the protocol."""
    return validation_numbers(
        [row.patient_id for row in rows],
        labels_of(rows).tolist(),
        num_folds=protocol.num_folds,
        plan_seed=plan_seed(protocol),
    )


def _labels_by_patient(rows: Sequence[CaseRow]) -> dict[str, int]:
    labels: dict[str, int] = {}
    for row, label in zip(rows, labels_of(rows).tolist(), strict=True):
        labels[row.patient_id] = max(label, labels.get(row.patient_id, 0))
    return labels


def _check_classes(division: Division, protocol: VdhProtocol) -> None:
    """An AUC needs both classes in every fold and in the test cohort."""
    for name, rows, least in (
        ("development", division.development, protocol.num_folds),
        ("test", division.test, 1),
    ):
        patients = list(_labels_by_patient(rows).values())
        num_positive = sum(patients)
        if min(num_positive, len(patients) - num_positive) < least:
            raise NotEnoughCases(
                f"the {name} cohort should have at least {least} patients with a refractory occlusion and {least} "
                f"without, got {num_positive} and {len(patients) - num_positive}",
                hint="raise dials.scale" if protocol.site is None else "the protocol needs a larger cohort",
            )
