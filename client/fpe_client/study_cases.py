"""Which of a site's cases take part in a study, and in which split."""

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fpe_client.paths import SitePaths
from fpe_core.config.recipe import Grid, recipe_named
from fpe_core.config.site import SiteConfig
from fpe_core.config.study import StudyPlan
from fpe_core.data.case_table import CaseRow, read_site_table
from fpe_core.data.dataset import CaseDataset, LabelledCase, SplitCases
from fpe_core.data.inclusion import Arm, Flow, inclusion_flow
from fpe_core.data.labels import label_of
from fpe_core.data.regional import RegionMasks
from fpe_core.data.saved_split import saved_or_new_split
from fpe_core.data.splits import first_treatments
from fpe_core.data.tabular import MOST_MISSING_CTP, declared_scaler, raw_columns, too_many_missing
from fpe_core.errors import NotEnoughCases, StudyMismatch
from fpe_core.preprocessing.gate import usable
from fpe_core.preprocessing.manifest import read_quarantine
from fpe_core.protocol import SplitName
from fpe_core.seeds import derive_seed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyCases:
    """A site's cohort for one study.

    Attributes:
        splits: the cases that take part.
        quarantined: number of cases that were set aside, by reason code.
        synthetic: True for phantoms.
    """

    splits: SplitCases
    quarantined: dict[str, int]
    synthetic: bool


def find_study_cases(config: SiteConfig, plan: StudyPlan) -> StudyCases:
    """The site's cases for a study: in its table, past the quality gate, included and split by patient.

    Raises:
        CaseTableInvalid, ConfigError: the table or its mapping is wrong.
        NotEnoughCases: no case takes part, or too few for three splits.
        StudyMismatch: the site's atlas of territories is not the study's.
        SplitUnusable: the saved split does not fit, or a date split lacks dates.
    """
    recipe, folder = recipe_named(plan.recipe), config.state_dir / "preprocessed" / plan.recipe
    table = read_site_table(config.data)
    screened = usable(folder, recipe)
    set_aside = {**read_quarantine(folder), **screened.set_aside}
    arm = Arm(plan.recipe, plan.model.sequences, set_aside, frozenset(screened.files))
    flow = inclusion_flow(
        table.rows,
        task=plan.task,
        arms=[arm],
        columns=plan.model.clinical,
        refused_rows=table.quarantined,
        nameless_rows=table.nameless_rows,
    )
    log.info("%d of %d cases are included in %s: %s", len(flow.included), flow.eligible, plan.name, _reasons(flow))
    if not flow.included:
        raise NotEnoughCases(
            f"none of {flow.eligible} cases can take part with {plan.recipe} and {', '.join(plan.model.sequences)}: "
            f"{_reasons(flow)}",
            hint=f"run fpe-client preprocess --site FILE --recipe {plan.recipe}, then fpe-client flow --site FILE",
        )
    included = _seen_in_full([row for row in table.rows if row.case_id in flow.arm_of], plan)
    splits = _split(config, plan, included, screened.files, _regions(config, plan, recipe.grid))
    counts = Counter(table.set_aside_by_code()) + Counter(set_aside.values())
    return StudyCases(splits, dict(counts), table.synthetic)


def _reasons(flow: Flow) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in flow.excluded if count) or "none is excluded"


def _seen_in_full(rows: list[CaseRow], plan: StudyPlan) -> list[CaseRow]:
    """The rows that have what the plan's network sees beside whole images: perfusion that was measured rather than
    filled in, and an occluded vessel for the regional input."""
    model = plan.model
    measured = [row for row in rows if not too_many_missing(row, model.clinical)]
    placed = [row for row in measured if model.region == "brain" or row.occlusion_site is not None]
    without_ctp, without_site = len(rows) - len(measured), len(measured) - len(placed)
    if without_ctp or without_site:
        log.info("%d of %d lack too many CTP parameters, %d the occlusion site", without_ctp, len(rows), without_site)
    if not placed:
        raise NotEnoughCases(
            f"of {len(rows)} included cases {without_ctp} lack more than {MOST_MISSING_CTP} CTP parameters of "
            f"model.clinical and {without_site} the occlusion site that model.region needs",
            hint="the case table needs perfusion volumes, tmax_over_6_s_ml above all, and occlusion_site; or take them "
            "out of the plan",
        )
    return placed


def _regions(config: SiteConfig, plan: StudyPlan, grid: Grid) -> RegionMasks | None:
    """The territories of the plan; None where the network sees the whole brain."""
    if plan.model.region == "brain":
        return None
    wanted = plan.model.territory_atlas
    regions = RegionMasks(grid, config.preprocessing.territory_atlas if wanted else None)
    if wanted not in (None, regions.fingerprint):
        raise StudyMismatch(
            f"the study's atlas of territories has the fingerprint {wanted}, this site's {regions.fingerprint}",
            hint="get the study's atlas from the coordinator and name it under preprocessing.territory_atlas",
        )
    return regions


def _split(
    config: SiteConfig,
    plan: StudyPlan,
    rows: list[CaseRow],
    files: Mapping[str, Path],
    regions: RegionMasks | None,
) -> SplitCases:
    split_of = _split_of(config, plan, rows)
    cases = _labelled(rows, files, plan)

    def dataset(split: SplitName) -> CaseDataset:
        chosen = [case for row, case in zip(rows, cases, strict=True) if split_of.get(row.patient_id) == split]
        return CaseDataset(chosen, plan.model.channels, regions)

    return SplitCases(dataset("train"), dataset("validation"), dataset("test"))


def _split_of(config: SiteConfig, plan: StudyPlan, rows: list[CaseRow]) -> dict[str, SplitName]:
    """The split of each patient, drawn once and kept: cases that come later do not reshuffle the others."""
    labels: dict[str, int] = {}
    for row in rows:
        labels[row.patient_id] = max(_label(plan, row), labels.get(row.patient_id, 0))
    return saved_or_new_split(
        split_file(config, plan),
        labels,
        plan.split,
        seed=derive_seed(plan.seed, "split", config.site),
        treated_on=first_treatments(rows),
    )


def split_file(config: SiteConfig, plan: StudyPlan) -> Path:
    """Where the site keeps the split of a study; it is written when the study's cases are first asked for."""
    return SitePaths(config.state_dir).split(_who_takes_part(plan))


def _who_takes_part(plan: StudyPlan) -> str:
    """A name for what decides a split: studies that differ in nothing else hold out the same patients."""
    model = plan.model
    parts = (plan.seed, plan.task, plan.recipe, sorted(model.sequences), model.clinical, model.region)
    text = f"{plan.split.model_dump_json()} {parts}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _labelled(rows: list[CaseRow], files: Mapping[str, Path], plan: StudyPlan) -> list[LabelledCase]:
    """The cases as the network sees them. Columns are scaled by their declared ranges, not by this site's own: a
    scaled value means the same at every site."""
    columns = plan.model.clinical
    table = declared_scaler(columns).transform(raw_columns(rows, columns))
    if columns:
        log.info("%s", table.report)
    return [
        LabelledCase(files[row.case_id], _label(plan, row), tuple(values), row.occlusion_site)
        for row, values in zip(rows, table.values.tolist(), strict=True)
    ]


def _label(plan: StudyPlan, row: CaseRow) -> int:
    label = label_of(plan.task, row)
    if label is None:
        raise ValueError("a case without a label should not be among the included ones")
    return label
