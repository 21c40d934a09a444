"""The post-hoc subgroups: by sex and age, and of refractory occlusions by cause (EJR 2025, section 3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

from fpe_core.data.case_table import CaseRow
from fpe_core.evaluation.comparison import AucComparison, compare_unpaired_aucs
from fpe_core.evaluation.ensemble import FoldVote
from fpe_core.evaluation.subgroups import DetectionRow, SubgroupRow, detection_by_cause, subgroup_table
from fpe_core.evaluation.thresholds import Threshold
from fpe_sim.vdh_rlvo.cohort import labels_of
from fpe_sim.vdh_rlvo.protocol import Subgroups

ICAD, OTHER = "ICAD", "other"
STENOSIS_PERCENT = 50.0


@dataclass(frozen=True)
class Grouped:
    """One way to divide the test cohort.

    Attributes:
        called: rows of the vote's own calls: sensitivity and specificity.
        ranked: rows of the mean probability: AUC.
        difference: AUC of the second group minus that of the first, alphabetically; None where not two groups are
            shown.
    """

    called: tuple[SubgroupRow, ...]
    ranked: tuple[SubgroupRow, ...]
    difference: AucComparison | None


def cause_of(row: CaseRow) -> str | None:
    """ICAD where a stenosis above 50 % remained; None where the stenosis is not known."""
    if row.stenosis_percent is None:
        return None
    return ICAD if row.stenosis_percent > STENOSIS_PERCENT else OTHER


def by_sex(rows: Sequence[CaseRow], vote: FoldVote, settings: Subgroups) -> Grouped:
    """Women and men of the test cohort."""
    return _grouped(rows, vote, [{"F": "women", "M": "men", None: None}[row.sex] for row in rows], settings)


def by_age(rows: Sequence[CaseRow], vote: FoldVote, settings: Subgroups) -> Grouped:
    """The test cohort below and from `age_split_years` on."""
    at = settings.age_split_years
    groups = [
        None if row.age_years is None else f"{at:g} years and older" if row.age_years >= at else f"below {at:g} years"
        for row in rows
    ]
    return _grouped(rows, vote, groups, settings)


def by_cause(rows: Sequence[CaseRow], vote: FoldVote, settings: Subgroups) -> dict[str, DetectionRow]:
    """Refractory occlusions of the test cohort that the vote finds, by cause."""
    causes = [cause_of(row) for row in rows]
    found = detection_by_cause(vote.positive, labels_of(rows), causes, min_cases=settings.min_cases_per_class)
    return {row.cause: row for row in found}


def _grouped(rows: Sequence[CaseRow], vote: FoldVote, groups: Sequence[str | None], settings: Subgroups) -> Grouped:
    labels, least = labels_of(rows), settings.min_cases_per_class
    # More than half of the folds: any share above one half is at or above this.
    majority = Threshold(0.5 + 1e-6, 0.0)
    called = subgroup_table(vote.vote_share, labels, groups, threshold=majority, min_cases_per_class=least)
    ranked = subgroup_table(vote.mean_probability, labels, groups, threshold=majority, min_cases_per_class=least)
    return Grouped(called, ranked, _difference(vote, labels.tolist(), groups, ranked))


def _difference(
    vote: FoldVote, labels: Sequence[int], groups: Sequence[str | None], ranked: Sequence[SubgroupRow]
) -> AucComparison | None:
    shown = [row.group for row in ranked if row.scores is not None]
    if len(shown) != 2:
        return None
    cases = [
        [(vote.mean_probability[i], labels[i]) for i, group in enumerate(groups) if group == name] for name in shown
    ]
    (first, first_labels), (second, second_labels) = (zip(*part, strict=True) for part in cases)
    return compare_unpaired_aucs(first=second, first_labels=second_labels, second=first, second_labels=first_labels)
