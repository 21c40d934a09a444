"""Who takes part: from the eligible cases by one reason after another to the included ones, as a paper's figure shows.

Each protocol is a list of criteria in the order of its paper; the first that holds is the reason why a case is left
out. What is not known excludes nobody, unless the criterion is that something is missing.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from fpe_core.config.study import ClinicalColumn, Task
from fpe_core.data.case_table import CaseRow
from fpe_core.data.clinical_columns import CTP_COLUMNS, RLVO_COLUMNS, column_value
from fpe_core.data.labels import label_of
from fpe_core.data.tabular import too_many_missing

POSTERIOR_SITES: Final = frozenset({"pca", "basilar", "vertebral"})
ANTERIOR_LVO_SITES: Final = frozenset({"ica", "m1", "m2"})
_SERIES_MISSING: Final = frozenset({"FPE-211", "FPE-218", "FPE-222"})
_IMAGE_DEGRADED: Final = frozenset(
    {"FPE-212", "FPE-213", "FPE-214", "FPE-215", "FPE-216", "FPE-217", "FPE-223", "FPE-224", "FPE-225"}
)
_REGISTRATION_FAILED: Final = frozenset({"FPE-219", "FPE-220", "FPE-226", "FPE-228"})
ROW_UNUSABLE: Final = "row of the case table cannot be used"


@dataclass(frozen=True)
class Arm:
    """One set of images with which a case can take part. The UCLA cohort has two: MR and CT.

    Attributes:
        name: for the chart.
        sequences: images that the network sees; a vessel prior is made from the CTA where the site has none.
        quarantined: reason code of each case whose images could not be used.
        ready: cases that are preprocessed, or None to judge by the case table and `quarantined` alone.
    """

    name: str
    sequences: tuple[str, ...]
    quarantined: Mapping[str, str] = field(default_factory=dict)
    ready: frozenset[str] | None = None

    def complete(self, row: CaseRow) -> bool:
        """Whether the case has every image."""
        return set(self.sequences) <= row.available_sequences | ({"vessels"} if "cta" in row.images else set())

    def failed(self, row: CaseRow, codes: frozenset[str]) -> bool:
        """Whether the case's images were set aside for one of these reasons."""
        return self.quarantined.get(row.case_id) in codes


@dataclass(frozen=True)
class Candidate:
    """What the criteria look at.

    Attributes:
        row: the case.
        task: decides the label.
        arms: the arms that are still open to the case.
        columns: clinical columns that the model sees.
    """

    row: CaseRow
    task: Task
    arms: tuple[Arm, ...]
    columns: tuple[ClinicalColumn, ...]

    def without(self, closes: Callable[[Arm, CaseRow], bool]) -> "Candidate":
        """The candidate with some arms closed."""
        return replace(self, arms=tuple(arm for arm in self.arms if not closes(arm, self.row)))


@dataclass(frozen=True)
class Criterion:
    """One reason to leave a case out.

    Attributes:
        reason: as the chart says it.
        excludes: whether it holds for a case as such.
        closes: whether it closes one arm; a case without an open arm is left out.
    """

    reason: str
    excludes: Callable[[Candidate], bool] = lambda _: False
    closes: Callable[[Arm, CaseRow], bool] = lambda _arm, _row: False


def posterior_circulation(case: Candidate) -> bool:
    """The occluded vessel is not of the anterior circulation (AJNR 2024)."""
    return case.row.occlusion_site in POSTERIOR_SITES


def not_anterior_lvo(case: Candidate) -> bool:
    """The occluded vessel is known and is neither terminal ICA nor M1 nor M2 (EJR 2025)."""
    return case.row.occlusion_site is not None and case.row.occlusion_site not in ANTERIOR_LVO_SITES


def significant_haemorrhage(case: Candidate) -> bool:
    """A significant haemorrhage before treatment (AJNR 2024)."""
    return case.row.significant_haemorrhage is True


def no_occlusion(case: Candidate) -> bool:
    """The baseline angiography shows no occlusion (EJR 2025)."""
    return case.row.no_occlusion_on_angiography is True


def several_occlusions(case: Candidate) -> bool:
    """Several synchronous occlusions (EJR 2025)."""
    return case.row.several_occlusions is True


def side_unclear(case: Candidate) -> bool:
    """The side of the stroke is not known (MIDL 2022)."""
    return case.row.occlusion_side is None


def quality_degraded(case: Candidate) -> bool:
    """A reader found an image degraded beyond use (AJNR 2024; "severe artefacts" in EJR 2025)."""
    return case.row.image_quality_degraded is True


def perfusion_missing(case: Candidate) -> bool:
    """No CT perfusion at all, though the model sees some of it (EJR 2025, first exclusion)."""
    seen = [name for name in case.columns if name in CTP_COLUMNS]
    return bool(seen) and all(column_value(case.row, name) is None for name in seen)


def too_few_ctp_parameters(case: Candidate) -> bool:
    """More than 3 CTP parameters are missing (EJR 2025, second exclusion)."""
    return too_many_missing(case.row, case.columns)


def without_label(case: Candidate) -> bool:
    """The outcome columns do not decide the label."""
    return label_of(case.task, case.row) is None


def series_missing(arm: Arm, row: CaseRow) -> bool:
    """The table names no file for an image that the arm needs, the file is not there, or slices are."""
    return not arm.complete(row) or arm.failed(row, _SERIES_MISSING)


def image_degraded(arm: Arm, row: CaseRow) -> bool:
    """An image is damaged, or is not what it should be."""
    return arm.failed(row, _IMAGE_DEGRADED)


def registration_failed(arm: Arm, row: CaseRow) -> bool:
    """The registration or the quality gate after it failed, or a person rejected the picture."""
    return arm.failed(row, _REGISTRATION_FAILED)


def review_awaited(arm: Arm, row: CaseRow) -> bool:
    """A person has yet to look at the case's picture."""
    return arm.failed(row, frozenset({"FPE-227"}))


def not_preprocessed(arm: Arm, row: CaseRow) -> bool:
    """Preprocessing ended without a result that any reason above explains, or has not seen the case yet."""
    return row.case_id in arm.quarantined or (arm.ready is not None and row.case_id not in arm.ready)


_HAEMORRHAGE = Criterion("significant haemorrhage", significant_haemorrhage)
_SERIES = Criterion("missing series", closes=series_missing)
_QUALITY = Criterion("degraded image quality", quality_degraded, image_degraded)
_REGISTRATION = Criterion("registration failed", closes=registration_failed)
_REVIEW = Criterion("picture not looked at yet", closes=review_awaited)
_PREPROCESSED = Criterion("not preprocessed", closes=not_preprocessed)
_LABEL = Criterion("outcome does not decide the label", without_label)
_POSTERIOR = Criterion("not anterior circulation", posterior_circulation)

CRITERIA: Final[Mapping[Task, tuple[Criterion, ...]]] = {
    "fpe": (_POSTERIOR, _HAEMORRHAGE, _SERIES, _QUALITY, _REGISTRATION, _REVIEW, _PREPROCESSED, _LABEL),
    "recanalization": (
        _POSTERIOR, _SERIES, Criterion("side of the stroke unclear", side_unclear), _QUALITY, _REGISTRATION, _REVIEW,
        _PREPROCESSED, _LABEL,
    ),
    "rlvo": (
        Criterion("not an anterior LVO (ICA, M1, M2)", not_anterior_lvo),
        Criterion("no occlusion on baseline angiography", no_occlusion),
        Criterion("several synchronous occlusions", several_occlusions),
        Criterion("severe artefacts", quality_degraded, image_degraded),
        Criterion("NCCT, CTA or CTP missing", perfusion_missing, series_missing),
        _REGISTRATION,
        Criterion("more than 3 CTP parameters missing", too_few_ctp_parameters),
        _REVIEW, _PREPROCESSED, _LABEL,
    ),
}  # fmt: skip
"""Reasons by task, in the order of AJNR 2024, MIDL 2022 and EJR 2025."""


@dataclass(frozen=True)
class Flow:
    """Where each case of a cohort went. It names cases: it stays at the site.

    Attributes:
        eligible: cases in the table.
        excluded: each reason in the protocol's order with its number of cases, 0 too.
        included: case ids, in the table's order.
        reason_of: the reason of each excluded case that has an id of its own.
        arm_of: the arm of each included case: the first that is open to it.
    """

    eligible: int
    excluded: tuple[tuple[str, int], ...]
    included: tuple[str, ...]
    reason_of: dict[str, str]
    arm_of: dict[str, str]

    def __post_init__(self) -> None:
        if self.eligible != sum(count for _, count in self.excluded) + len(self.included):
            raise ValueError(f"{self.eligible} eligible cases should be the excluded and the included ones together")

    @property
    def arms(self) -> dict[str, int]:
        """Included cases by arm."""
        return dict(Counter(self.arm_of.values()))


def inclusion_flow(
    rows: Sequence[CaseRow],
    *,
    task: Task,
    arms: Sequence[Arm],
    columns: tuple[ClinicalColumn, ...] | None = None,
    refused_rows: Mapping[str, str] | None = None,
    nameless_rows: int = 0,
) -> Flow:
    """Sort a cohort's cases into included ones and the first reason against each of the others.

    Args:
        rows: the case table.
        task: decides protocol and label.
        arms: ways to take part; a case needs one.
        columns: clinical columns that the model sees; default those of the paper: 18 for rlvo, else none.
        refused_rows: reason code of each case whose row cannot be used, whether it is among `rows` or not.
        nameless_rows: rows that cannot be used and are neither in `rows` nor in `refused_rows`, for want of an id or
            because another row has the same.

    Raises:
        ValueError: no arm, or two of one name.
    """
    if not arms or len({arm.name for arm in arms}) != len(arms):
        raise ValueError("arms should be one or more of different names")
    seen = (RLVO_COLUMNS if task == "rlvo" else ()) if columns is None else columns
    reason_of = dict.fromkeys(refused_rows or {}, ROW_UNUSABLE)
    arm_of: dict[str, str] = {}
    for row in rows:
        if row.case_id not in reason_of:
            verdict = _judged(Candidate(row, task, tuple(arms), seen))
            (arm_of if isinstance(verdict, Arm) else reason_of)[row.case_id] = (
                verdict.name if isinstance(verdict, Arm) else verdict
            )
    reasons = (ROW_UNUSABLE, *(criterion.reason for criterion in CRITERIA[task]))
    counts = Counter(reason_of.values())
    counts[ROW_UNUSABLE] += nameless_rows
    excluded = tuple((reason, counts[reason]) for reason in reasons)
    return Flow(counts.total() + len(arm_of), excluded, tuple(arm_of), reason_of, arm_of)


def _judged(case: Candidate) -> Arm | str:
    """The arm in which the case takes part, or the first reason against it."""
    for criterion in CRITERIA[case.task]:
        case = case.without(criterion.closes)
        if criterion.excludes(case) or not case.arms:
            return criterion.reason
    return case.arms[0]
