"""Features on disk, one file for each case; a case whose scans and settings are the same is not measured again."""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from fpe_core.config.base import FrozenModel
from fpe_core.config.recipe import recipe_named
from fpe_core.data.case_row import CaseRow
from fpe_core.imaging.content import file_sha256
from fpe_core.imaging.territories import Territories, load_territories
from fpe_core.preprocessing.processed import ProcessedCase, write_private
from fpe_sim.cohorts.ready import ReadyCohort
from fpe_sim.ray_tasks import Progress, run_tasks
from fpe_sim.run_context import RunContext
from fpe_sim.ucla_scanet.radiomics.features import FEATURES_VERSION, case_features
from fpe_sim.ucla_scanet.radiomics.grey_levels import NUM_LEVELS
from fpe_sim.ucla_scanet.radiomics.regions import regions_of


class _Stored(FrozenModel):
    key: str
    features: dict[str, float]


class FeatureTable:
    """Features of N cases.

    Attributes:
        names: of the F features.
        values: `(N, F)` float64, a row for each case.
    """

    def __init__(self, rows: Sequence[dict[str, float]]) -> None:
        self.names = tuple(rows[0]) if rows else ()
        self.values: NDArray[np.float64] = np.array([[row[name] for name in self.names] for row in rows])


def feature_table(
    cohort: ReadyCohort,
    rows: Sequence[CaseRow],
    sequences: tuple[str, ...],
    recipe: str,
    *,
    context: RunContext,
    progress: Progress,
) -> FeatureTable:
    """Features of some of a cohort's cases, in the order of `rows`.

    Raises:
        FpeError: a case cannot be measured; those that were are kept.
    """
    folder = context.folder / "radiomics"
    keys = {row.case_id: _key(row, cohort.files[row.case_id], sequences, recipe) for row in rows}
    missing = [row for row in rows if _read(folder, row.case_id, keys[row.case_id]) is None]
    tasks = [(row, cohort.files[row.case_id], sequences, recipe, folder, keys[row.case_id]) for row in missing]
    run_tasks(measure_case, tasks, context=context, progress=progress)
    return FeatureTable([_read(folder, row.case_id, keys[row.case_id]) or {} for row in rows])


def measure_case(row: CaseRow, file: Path, sequences: tuple[str, ...], recipe: str, folder: Path, key: str) -> None:
    """Measure one case and leave its features in `folder`."""
    case = ProcessedCase.load(file)
    regions = regions_of(row, case.mask > 0, territories_on(recipe))
    features = case_features({name: case.volumes[name] for name in sequences}, regions)
    content = _Stored(key=key, features=features).model_dump_json() + "\n"
    write_private(_path(folder, row.case_id), content.encode())


@lru_cache(maxsize=1)
def territories_on(recipe: str) -> Territories:
    """The territories on a recipe's grid, read once per process."""
    return load_territories(recipe_named(recipe).grid)


def _key(row: CaseRow, file: Path, sequences: tuple[str, ...], recipe: str) -> str:
    """sha256 over all that decides a case's features."""
    facts = (
        FEATURES_VERSION, NUM_LEVELS, file_sha256(file), sequences, recipe, row.occlusion_side, row.occlusion_site
    )  # fmt: skip
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _read(folder: Path, case_id: str, key: str) -> dict[str, float] | None:
    """The features, None where they are not there, damaged, or of other scans."""
    try:
        stored = _Stored.model_validate_json(_path(folder, case_id).read_bytes())
    except (OSError, ValidationError):
        return None
    return stored.features if stored.key == key else None


def _path(folder: Path, case_id: str) -> Path:
    return folder / f"{case_id}.json"
