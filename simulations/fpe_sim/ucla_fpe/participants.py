"""Who takes part in a UCLA protocol, and in which of its two cohorts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from fpe_core.config.recipe import recipe_named
from fpe_core.config.study import StudyPlan
from fpe_core.data.case_row import CaseRow
from fpe_core.data.dataset import CaseDataset, LabelledCase
from fpe_core.data.inclusion import Flow
from fpe_core.data.labels import label_of
from fpe_core.data.regional import RegionMasks
from fpe_core.data.splits import first_treatments
from fpe_core.errors import NotEnoughCases, SplitUnusable
from fpe_sim.cohorts.ready import ReadyCohort
from fpe_sim.ucla_fpe.models import SEQUENCES
from fpe_sim.ucla_fpe.protocol import UclaFpe

VESSEL_UNKNOWN = "occluded vessel unknown"
_ANTERIOR: Final = "ica"
"""The territory of the terminal carotid holds those of all anterior occlusions."""


@dataclass(frozen=True)
class Participants:
    """The two cohorts.

    Attributes:
        flow: where each eligible case went.
        development: included cases of the patients first treated before `test_from`.
        test: those of the others.
    """

    flow: Flow
    development: tuple[CaseRow, ...]
    test: tuple[CaseRow, ...]

    @property
    def included(self) -> tuple[CaseRow, ...]:
        """Both cohorts."""
        return self.development + self.test


def participants(cohort: ReadyCohort, protocol: UclaFpe) -> Participants:
    """Sort the cohort's cases.

    Raises:
        SplitUnusable: an included case has no day of treatment.
        NotEnoughCases: a class has fewer development patients than there are folds, or no test patient.
    """
    flow = cohort.flow("fpe", SEQUENCES[protocol.modality])
    if protocol.region == "territory":
        flow = without_unknown_vessel(flow, cohort.rows)
    included = [row for row in cohort.rows if row.case_id in flow.arm_of]
    development, test = by_date(included, protocol.test_from)
    _check_classes(development, test, protocol)
    return Participants(flow, development, test)


def without_unknown_vessel(flow: Flow, rows: Sequence[CaseRow]) -> Flow:
    """The flow with one more reason: a regional input needs to know the occluded vessel."""
    unknown = [row.case_id for row in rows if row.case_id in flow.arm_of and row.occlusion_site is None]
    return replace(
        flow,
        excluded=(*flow.excluded, (VESSEL_UNKNOWN, len(unknown))),
        included=tuple(case for case in flow.included if case not in set(unknown)),
        reason_of=flow.reason_of | dict.fromkeys(unknown, VESSEL_UNKNOWN),
        arm_of={case: arm for case, arm in flow.arm_of.items() if case not in set(unknown)},
    )


def by_date(rows: Sequence[CaseRow], test_from: date) -> tuple[tuple[CaseRow, ...], tuple[CaseRow, ...]]:
    """The cases of patients first treated before a day, and of those first treated then or later.

    Raises:
        SplitUnusable: a patient has a case without a day.
    """
    first = first_treatments(rows)
    if undated := {row.patient_id for row in rows} - set(first):
        raise SplitUnusable(
            f"every case should have a treatment_date, but {len(undated)} patients have one without",
            hint="fill treatment_date in the case table",
        )
    development = tuple(row for row in rows if first[row.patient_id] < test_from)
    return development, tuple(row for row in rows if first[row.patient_id] >= test_from)


def _check_classes(development: Sequence[CaseRow], test: Sequence[CaseRow], protocol: UclaFpe) -> None:
    for rows, least, name in (
        (development, protocol.num_folds, f"before {protocol.test_from}"),
        (test, 2, f"from {protocol.test_from} on"),
    ):
        for label in (0, 1):
            found = len({row.patient_id for row in rows if label_of("fpe", row) == label})
            if found < least:
                raise NotEnoughCases(
                    f"each class should have at least {least} patients {name}; label {label} has {found}",
                    hint="raise dials.scale, or set test_from or num_folds otherwise",
                )


def unlabelled_scans(cohort: ReadyCohort, plan: StudyPlan, kept_out: Collection[str]) -> CaseDataset:
    """Scans for self-supervision as the plan's network sees them.

    A label is not needed, nor an occluded vessel: where it is not known, a regional input shows the territory of the
    terminal carotid.

    Args:
        cohort: the scans.
        plan: sequences and region.
        kept_out: patients whose scans are not to be seen: those who take part with a label.

    Raises:
        NotEnoughCases: fewer than two scans are left.
    """
    sequences = set(plan.model.sequences)
    rows = [
        row
        for row in cohort.rows
        if row.case_id in cohort.files and sequences <= row.available_sequences and row.patient_id not in kept_out
    ]
    if len(rows) < 2:
        raise NotEnoughCases(
            "self-supervision needs at least 2 scans with all sequences, of patients who do not take part with a "
            f"label; {cohort.name} has {len(rows)}",
            hint="name a cohort with other patients as unlabelled_site",
        )
    cases = [LabelledCase(cohort.files[row.case_id], 0, (), row.occlusion_site or _ANTERIOR) for row in rows]
    regions = RegionMasks(recipe_named(plan.recipe).grid) if plan.model.region == "territory" else None
    return CaseDataset(cases, plan.model.channels, regions)
