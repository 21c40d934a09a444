"""A cohort that is ready to train on: phantoms made and preprocessed, or a site's own cases preprocessed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from fpe_client.console import words
from fpe_client.paths import SitePaths
from fpe_client.preparation import prepare
from fpe_core.config.loader import load_site
from fpe_core.config.recipe import recipe_named
from fpe_core.config.study import ClinicalColumn, StudyPlan, Task
from fpe_core.data.case_table import CaseRow, read_site_table
from fpe_core.data.dataset import CaseDataset, LabelledCase
from fpe_core.data.inclusion import Arm, Flow, inclusion_flow
from fpe_core.data.labels import label_of
from fpe_core.data.regional import RegionMasks
from fpe_core.data.tabular import TableScaler, declared_scaler, raw_columns
from fpe_core.preprocessing.gate import usable
from fpe_core.preprocessing.manifest import read_quarantine
from fpe_core.training.single_site import ProtocolCases
from fpe_sim.cohorts.flows import Group as Group
from fpe_sim.cohorts.paper import PaperCohort, make_phantom_cohort
from fpe_sim.console import stage
from fpe_sim.protocol_results import CohortFacts
from fpe_sim.run_context import RunContext


@dataclass(frozen=True)
class ReadyCohort:
    """A cohort with its preprocessed files.

    Attributes:
        name: of the paper's cohort that it is, or takes the place of.
        site_file: its site file.
        rows: all cases of its table, those that are left out included.
        files: preprocessed file of each case that may be used.
        set_aside: reason code of each case that may not.
        synthetic: True for phantoms.
        reachable_auc: phantoms only: best AUC that any model can reach, by what it sees: images, table, both.
        groups: phantoms only: cohort of a case where the paper's own split is part of its table 1.
        reachable_auc_by_task: phantoms only: the same for each of the three outcomes, which all of a paper's cohorts
            have.
        refused_rows: reason code of each case whose row of the table cannot be used.
        nameless_rows: rows that cannot be used either, and have no id of their own.
    """

    name: str
    site_file: Path
    rows: tuple[CaseRow, ...]
    files: Mapping[str, Path]
    set_aside: Mapping[str, str]
    synthetic: bool
    reachable_auc: Mapping[str, float]
    groups: Mapping[str, Group]
    reachable_auc_by_task: Mapping[Task, Mapping[str, float]] = field(default_factory=dict)
    refused_rows: Mapping[str, str] = field(default_factory=dict)
    nameless_rows: int = 0

    @property
    def num_rows(self) -> int:
        """Of its table, usable or not."""
        return len({row.case_id for row in self.rows} | set(self.refused_rows)) + self.nameless_rows

    def reachable_for(self, task: Task) -> Mapping[str, float]:
        """Best AUC for an outcome by what is seen; a cohort of another main outcome has its own best for this one."""
        return self.reachable_auc_by_task.get(task, self.reachable_auc)

    def flow(self, task: Task, sequences: Sequence[str], columns: Sequence[ClinicalColumn] = ()) -> Flow:
        """Who takes part with these images and columns, and why others do not."""
        arm = Arm(self.name, tuple(sequences), self.set_aside, frozenset(self.files))
        return inclusion_flow(
            self.rows,
            task=task,
            arms=[arm],
            columns=tuple(columns),
            refused_rows=self.refused_rows,
            nameless_rows=self.nameless_rows,
        )

    def included(self, task: Task, sequences: Sequence[str], columns: Sequence[ClinicalColumn] = ()) -> list[CaseRow]:
        """The rows of the cases that take part."""
        arm_of = self.flow(task, sequences, columns).arm_of
        return [row for row in self.rows if row.case_id in arm_of]

    def facts(self, task: Task, flow: Flow) -> CohortFacts:
        """What the report says of it."""
        included = [row for row in self.rows if row.case_id in flow.arm_of]
        return CohortFacts(
            name=self.name,
            synthetic=self.synthetic,
            num_eligible=flow.eligible,
            num_included=len(included),
            num_positive=sum(label_of(task, row) or 0 for row in included),
            excluded={reason: count for reason, count in flow.excluded if count},
            reachable_auc=dict(self.reachable_auc),
        )


def ready_cohort(
    name: PaperCohort, recipe: str, *, context: RunContext, seed: int, scale: float, site_file: Path | None = None
) -> ReadyCohort:
    """Make (phantoms only) and preprocess a cohort; what is there already is kept.

    Args:
        name: of the paper's cohort.
        recipe: name of the preprocessing recipe.
        context: folder and machine of the run.
        seed: phantoms only: of the draw.
        scale: phantoms only: share of the paper's size.
        site_file: a site's own cohort instead of phantoms.

    Raises:
        FpeError: the site's files are wrong, or no case could be preprocessed.
    """
    if site_file is None:
        site_file = _phantoms(name, recipe, context, seed, scale)
    prepare(site_file, recipe_name=recipe, jobs=context.jobs, console=words())
    config = load_site(site_file)
    folder = SitePaths(config.state_dir).preprocessed(recipe)
    table, screened = read_site_table(config.data), usable(folder, recipe_named(recipe))
    truth = site_file.parent / "data" / "truth.json"
    stated = json.loads(truth.read_text()) if table.synthetic and truth.is_file() else {}
    return ReadyCohort(
        name=name,
        site_file=site_file,
        rows=tuple(table.rows),
        files=screened.files,
        set_aside={**read_quarantine(folder), **screened.set_aside},
        synthetic=table.synthetic,
        reachable_auc=stated.get("reachable_auc", {}),
        groups=stated.get("groups", {}),
        reachable_auc_by_task=stated.get("reachable_auc_by_task", {}),
        refused_rows=table.quarantined,
        nameless_rows=table.nameless_rows,
    )


def _phantoms(name: PaperCohort, recipe: str, context: RunContext, seed: int, scale: float) -> Path:
    folder = context.cohorts / name
    with stage(f"phantoms of {name}") as progress:
        make_phantom_cohort(name, folder / "data", seed=seed, scale=scale, jobs=context.jobs, progress=progress)
    site = {
        "schema_version": 1,
        "site": name,
        "server": {"address": "localhost:1", "ca_certificate": "ca.crt"},
        "private_key": "site.key",
        "state_dir": "state",
        "data": {"cases": "data/cases.csv"},
        "preprocessing": {"recipe": recipe},
    }
    (folder / "site.yaml").write_text(yaml.safe_dump(site, sort_keys=False))
    return folder / "site.yaml"


def dataset_of(
    cohort: ReadyCohort, rows: Sequence[CaseRow], plan: StudyPlan, scaler: TableScaler | None = None
) -> CaseDataset:
    """Labelled cases as the plan's network sees them.

    Args:
        cohort: has the rows' preprocessed files.
        rows: included cases, all with a label.
        plan: task, channels, clinical columns and region.
        scaler: of the clinical columns, fitted on development rows alone; None for their declared ranges.
    """
    columns = plan.model.clinical
    values = (scaler or declared_scaler(columns)).transform(raw_columns(rows, columns)).values.tolist()
    cases = [
        LabelledCase(cohort.files[row.case_id], label_of(plan.task, row) or 0, tuple(seen), row.occlusion_site)
        for row, seen in zip(rows, values, strict=True)
    ]
    regions = RegionMasks(recipe_named(plan.recipe).grid) if plan.model.region == "territory" else None
    return CaseDataset(cases, plan.model.channels, regions)


def protocol_cases(
    cohort: ReadyCohort,
    plan: StudyPlan,
    development: Sequence[CaseRow],
    test: Sequence[CaseRow],
    scaler: TableScaler | None = None,
) -> ProtocolCases:
    """Both cohorts of a cross-validation; see `dataset_of`.

    Raises:
        DataError: a patient is in both.
    """
    return ProtocolCases(
        development=dataset_of(cohort, development, plan, scaler),
        patients=tuple(row.patient_id for row in development),
        test=dataset_of(cohort, test, plan, scaler),
        test_patients=tuple(row.patient_id for row in test),
    )
