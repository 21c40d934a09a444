"""What a site's trainer holds between messages: the cases, the device, the network."""

import logging
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from torch import nn

from fpe_client.paths import SitePaths
from fpe_client.privacy_ledger import PrivacyLedger
from fpe_core.config.recipe import recipe_named
from fpe_core.config.site import SiteConfig
from fpe_core.config.study import ClinicalColumn, StudyPlan
from fpe_core.data.case_table import CaseRow, read_case_table
from fpe_core.data.dataset import CaseDataset, LabelledCase, SplitCases
from fpe_core.data.labels import label_of
from fpe_core.data.splits import split_patients
from fpe_core.data.tabular import MOST_MISSING_CTP, declared_scaler, raw_columns, too_many_missing
from fpe_core.errors import NotEnoughCases, StudyRefused
from fpe_core.models.planned import planned_model
from fpe_core.preprocessing.cohort import read_manifest, read_quarantine
from fpe_core.seeds import derive_seed
from fpe_core.training.device import choose_device, place
from fpe_core.training.hardware import Hardware, default_workers

log = logging.getLogger(__name__)

Usable = tuple[CaseRow, int, Path]
"""A case of the study: its row, its label and its preprocessed file."""


@dataclass(frozen=True)
class StudyCases:
    """A site's cohort for one study."""

    splits: SplitCases
    quarantined: dict[str, int]
    synthetic: bool


class SiteSession:
    """Data, device and model of one site. Kept for as long as the trainer lives.

    Args:
        config: the site's configuration, with absolute paths.
    """

    def __init__(self, config: SiteConfig) -> None:
        self.config = config
        device, workers = choose_device(config.trainer.device), config.trainer.workers
        self.hardware = Hardware(
            device,
            micro_batch_size=config.trainer.micro_batch_size,
            compile=config.trainer.compile,
            num_workers=default_workers(device) if workers is None else workers,
        )
        self.paths = SitePaths(config.state_dir)
        self.ledger = PrivacyLedger(self.paths.privacy)
        self.cases = lru_cache(maxsize=4)(self._cases)
        self.model = lru_cache(maxsize=1)(self._model)

    def admit(self, plan: StudyPlan) -> None:
        """Refuse a study that the site's policy does not allow.

        Raises:
            StudyRefused: the task is not on the site's list.
        """
        if plan.task not in self.config.policy.tasks:
            raise StudyRefused(
                f"policy.tasks allows {', '.join(self.config.policy.tasks)}; the study asks for {plan.task}",
                hint="add the task to policy.tasks in the site file if the hospital agrees",
            )

    def _model(self, plan: StudyPlan) -> nn.Module:
        return place(planned_model(plan), self.hardware.device)

    def _cases(self, plan: StudyPlan) -> StudyCases:
        """Find the preprocessed, labelled cases and split them by patient."""
        folder = self.config.state_dir / "preprocessed" / plan.recipe
        table = read_case_table(self.config.data.cases)
        files = read_manifest(folder, recipe_named(plan.recipe))
        usable = [
            (row, label, files[row.case_id])
            for row in table.rows
            if row.case_id in files
            and (label := label_of(plan.task, row)) is not None
            and set(plan.model.sequences) <= set(row.available_sequences)
        ]
        log.info("%d of %d cases are usable for %s", len(usable), len(table.rows), plan.name)
        if not usable:
            raise NotEnoughCases(
                f"none of {len(table.rows)} cases is preprocessed with {plan.recipe}, labelled for {plan.task} "
                f"and complete in {', '.join(plan.model.sequences)}",
                hint=f"run fpe-client preprocess --site FILE --recipe {plan.recipe}",
            )
        usable = self._with_perfusion(plan, usable)
        return StudyCases(self._split(plan, usable), dict(Counter(read_quarantine(folder).values())), table.synthetic)

    def _with_perfusion(self, plan: StudyPlan, usable: list[Usable]) -> list[Usable]:
        """Leave out cases whose clinical columns would be filled in rather than measured; none without such columns."""
        kept = [case for case in usable if not too_many_missing(case[0], plan.model.clinical)]
        if len(kept) < len(usable):
            log.info("%d of %d usable cases lack too many CTP parameters", len(usable) - len(kept), len(usable))
        if not kept:
            raise NotEnoughCases(
                f"all {len(usable)} usable cases lack more than {MOST_MISSING_CTP} CTP parameters of model.clinical",
                hint="the case table needs perfusion volumes, tmax_over_6_s_ml above all; or take them out of the plan",
            )
        return kept

    def _split(self, plan: StudyPlan, usable: list[Usable]) -> SplitCases:
        labels: dict[str, int] = {}
        for row, label, _ in usable:
            labels[row.patient_id] = max(label, labels.get(row.patient_id, 0))
        split_of = split_patients(labels, plan.split, seed=derive_seed(plan.seed, "split", self.config.site))

        cases = _labelled(usable, plan.model.clinical)

        def dataset(split: str) -> CaseDataset:
            chosen = [
                case for (row, _, _), case in zip(usable, cases, strict=True) if split_of[row.patient_id] == split
            ]
            return CaseDataset(chosen, plan.model.channels)

        return SplitCases(dataset("train"), dataset("validation"), dataset("test"))


def _labelled(usable: list[Usable], columns: tuple[ClinicalColumn, ...]) -> list[LabelledCase]:
    """The cases as the network sees them. Columns are scaled by their declared ranges, not by this site's own: a
    scaled value means the same at every site."""
    table = declared_scaler(columns).transform(raw_columns([row for row, _, _ in usable], columns))
    if columns:
        log.info("%s", table.report)
    return [
        LabelledCase(file, label, tuple(values))
        for (_, label, file), values in zip(usable, table.values.tolist(), strict=True)
    ]
