"""One virtual hospital that owns the cases of several, split as they split them: the upper bound of a federation.

It has a case table, a list of preprocessed cases and a saved split like any hospital's, so that a study runs on it as
on any other. No image is copied: its list names the other hospitals' files.
"""

import csv
import io
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import yaml

from fpe_client.paths import SitePaths
from fpe_client.session import SiteSession
from fpe_client.study_cases import split_file
from fpe_core.config.loader import load_site
from fpe_core.config.recipe import recipe_named
from fpe_core.config.study import StudyPlan
from fpe_core.data.case_row import CaseRow
from fpe_core.data.case_table import IMAGE_COLUMNS, read_site_table
from fpe_core.data.saved_split import SPLITS, SavedSplit
from fpe_core.errors import SplitUnusable
from fpe_core.files import write_atomic
from fpe_core.preprocessing.decisions import decide, key_of, load_decisions
from fpe_core.preprocessing.gate import usable
from fpe_core.preprocessing.manifest import Manifest, Quarantine, load_manifest, write_lists
from fpe_core.protocol import SplitName
from fpe_core.seeds import derive_seed

POOLED = "pooled"
"""The virtual hospital's name."""


def make_pooled_site(folder: Path, sessions: Sequence[SiteSession], plan: StudyPlan, *, device: str) -> Path:
    """Write the hospital that owns all cases of the given ones.

    Args:
        folder: made if it does not exist; what is in it is replaced.
        sessions: of the hospitals whose cases it gets; their splits are drawn where they are not yet.
        plan: of the study, with the task, the recipe and the seed that the hospitals' splits follow from.
        device: auto, cpu or cuda, of its trainer.

    Returns:
        Its site file.

    Raises:
        SplitUnusable: its splits are not the union of theirs.
        FpeError: a hospital's files are wrong.
    """
    folder.mkdir(parents=True, exist_ok=True)
    site_file = folder / "site.yaml"
    rows: list[CaseRow] = []
    entries, split_of, accepted = {}, dict[str, SplitName](), list[str]()
    for session in sessions:
        site, own = session.config.site, SitePaths(session.config.state_dir).preprocessed(plan.recipe)
        files, listed = usable(own, recipe_named(plan.recipe)).files, load_manifest(own).cases
        decided = load_decisions(own).cases
        session.cases(plan)
        saved = SavedSplit.load(split_file(session.config, plan)).split_of
        for row in read_site_table(session.config.data).rows:
            if row.case_id in files and row.patient_id in saved:
                named = {"case_id": f"{site}.{row.case_id}", "patient_id": f"{site}.{row.patient_id}"}
                rows.append(row.model_copy(update=named))
                path = str(files[row.case_id].resolve())
                entries[named["case_id"]] = listed[row.case_id].model_copy(update={"file": path})
                split_of[named["patient_id"]] = saved[row.patient_id]
                if key_of(listed[row.case_id]) in decided:
                    accepted.append(named["case_id"])
    write_atomic(folder / "cases.csv", _table(rows).encode())
    write_atomic(site_file, yaml.safe_dump(_site(plan, device), sort_keys=False).encode())
    config = load_site(site_file)
    preprocessed = SitePaths(config.state_dir).preprocessed(plan.recipe)
    preprocessed.mkdir(parents=True, exist_ok=True)
    write_lists(preprocessed, Manifest(recipe=plan.recipe, cases=entries), Quarantine())
    if accepted:
        decide(preprocessed, accepted, accepted=True, reason="as its hospital decided")
    split = split_file(config, plan)
    split.parent.mkdir(parents=True, exist_ok=True)
    SavedSplit.of_splits(split_of, plan.split, seed=derive_seed(plan.seed, "split", POOLED)).save(split)
    _check_union(SiteSession(config), sessions, plan)
    return site_file


def _check_union(pooled: SiteSession, sessions: Sequence[SiteSession], plan: StudyPlan) -> None:
    """Each split has the very files that the hospitals' splits have together."""
    for name in SPLITS:
        owned = _files(pooled, plan, name)
        expected = sorted(file for session in sessions for file in _files(session, plan, name))
        if owned != expected:
            raise SplitUnusable(
                f"the pooled {name} split should be the union of the sites' own: {len(expected)} cases, "
                f"got {len(owned)}"
            )


def _files(session: SiteSession, plan: StudyPlan, name: SplitName) -> list[Path]:
    return sorted(case.file.resolve() for case in getattr(session.cases(plan).splits, name).cases)


def _site(plan: StudyPlan, device: str) -> dict[str, object]:
    return {
        "schema_version": 1,
        "site": POOLED,
        "server": {"address": "localhost:1", "ca_certificate": "ca.crt"},
        "private_key": "site.key",
        "state_dir": "state",
        "data": {"cases": "cases.csv"},
        "trainer": {"device": device, "threads": 1},
        "preprocessing": {"recipe": plan.recipe},
        "policy": {"tasks": [plan.task], "min_cases_per_class": 2},
    }


def _table(rows: Sequence[CaseRow]) -> str:
    """The rows as a case table in the platform's own form."""
    columns = [name for name in CaseRow.model_fields if name != "images"]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*columns, *IMAGE_COLUMNS], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        cells = {name: _cell(getattr(row, name)) for name in columns}
        writer.writerow(cells | {str(name): str(path.resolve()) for name, path in row.images.items()})
    return text.getvalue()


def _cell(value: object) -> str:
    """An unknown value is an empty cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return value.isoformat() if isinstance(value, date) else str(value)
