"""The whole protocol on a tiny cohort that is preprocessed already: one hospital, sixteen cases, one epoch."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpe_core.config.recipe import recipe_named
from fpe_core.data.case_row import CaseRow
from fpe_core.errors import NotEnoughCases
from fpe_core.imaging.territories import load_territories
from fpe_core.preprocessing.processed import ProcessedCase, Provenance
from fpe_sim import trainings
from fpe_sim.cohorts.ready import ReadyCohort
from fpe_sim.run_context import RunContext
from fpe_sim.ucla_scanet.outcome import ScanetOutcome
from fpe_sim.ucla_scanet.paper import MODELS
from fpe_sim.ucla_scanet.protocol import UclaScanet
from fpe_sim.ucla_scanet.radiomics import store
from fpe_sim.ucla_scanet.run import measure

MakeRows = Callable[[int], list[CaseRow]]
RECIPE = recipe_named("mnt-dl-ct-small")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs tasks here instead of on Ray; names those that were run."""
    ran: list[str] = []

    def one_by_one(function: Callable[..., None], tasks: Sequence[tuple[Any, ...]], **_: object) -> None:
        for task in tasks:
            ran.append(function.__name__)
            function(*task)

    monkeypatch.setattr(trainings, "run_tasks", one_by_one)
    monkeypatch.setattr(store, "run_tasks", one_by_one)
    return ran


def ready(rows: list[CaseRow], folder: Path) -> ReadyCohort:
    """Noise in the template's brain; in positive cases the occluded side is as bright as the other, else darker."""
    brain = load_territories(RECIPE.grid).labels_zyx > 0
    left = np.arange(brain.shape[2]) >= brain.shape[2] // 2
    provenance = Provenance(
        recipe=RECIPE.name, recipe_fingerprint=RECIPE.fingerprint(), inputs={}, versions={}, history=(), qc={}
    )
    files = {}
    for number, row in enumerate(rows):
        rng = np.random.default_rng(number)
        volumes = {name: np.where(brain, rng.uniform(0.4, 0.6, brain.shape), 0) for name in ("ncct", "cta")}
        if row.final_mtici == "2b":
            volumes["cta"][:, :, left] *= 0.7
        volumes = {name: volume.astype(np.float32) for name, volume in volumes.items()}
        files[row.case_id] = folder / f"{row.case_id}.safetensors"
        ProcessedCase(volumes, brain.astype(np.uint8), np.eye(4), {}, provenance).save(files[row.case_id])
    return ReadyCohort("ucla-scanet", folder / "site.yaml", tuple(rows), files, {}, True, {"images": 0.9}, {})


def with_images(rows: list[CaseRow]) -> list[CaseRow]:
    return [row.model_copy(update={"images": {"ncct": Path("n.nii"), "cta": Path("c.nii")}}) for row in rows]


def same(one: ScanetOutcome, other: ScanetOutcome) -> bool:
    return all(
        np.array_equal(a.probabilities, b.probabilities) and a.threshold == b.threshold
        for model in MODELS
        for a, b in zip(one.predictions[model], other.predictions[model], strict=True)
    )


def test_a_run_measures_all_models_on_the_same_cases_and_goes_on_where_it_stopped(
    protocol: UclaScanet, make_rows: MakeRows, tmp_path: Path, done: list[str]
) -> None:
    rows = with_images(make_rows(18))
    rows[4], rows[5] = (row.model_copy(update=change) for row, change in zip(rows[4:6], LEFT_OUT, strict=True))
    cohort = ready(rows, tmp_path / "cases")
    first = measure(protocol, cohort, RunContext(tmp_path / "run", jobs=1, device="cpu"))
    assert done == ["measure_case"] * 16 + ["train_fold"] * 4
    assert dict(first.flow.excluded)["missing series"] == dict(first.flow.excluded)["side of the stroke unclear"] == 1
    labels = [np.concatenate([fold.labels for fold in first.predictions[model]]) for model in MODELS]
    assert len(labels[0]) == first.facts.num_included == 16
    assert all(np.array_equal(one, labels[0]) for one in labels)
    # The asymmetry is plain to see for hand-made features.
    assert first.auc("Radiomics").mean == 1
    assert any("against other side" in name for name in first.baseline.times_selected)

    done.clear()
    fold = tmp_path / "run" / "trainings" / "scanet-without-fold-2" / "fold-1"
    (fold / "predictions.json").unlink()
    (tmp_path / "run" / "radiomics" / "c3.json").write_text("{}")
    again = measure(protocol, cohort, RunContext(tmp_path / "run", jobs=1, device="cpu"))
    assert done == ["measure_case", "train_fold"]
    assert same(first, again)
    assert (tmp_path / "run" / "radiomics" / "c3.json").stat().st_mode & 0o777 == 0o600


LEFT_OUT: tuple[dict[str, object], ...] = ({"images": {"ncct": Path("n.nii")}}, {"occlusion_side": None})


def test_a_cohort_that_is_too_small_is_told_before_anything_is_made(
    protocol: UclaScanet, make_rows: MakeRows, tmp_path: Path, done: list[str]
) -> None:
    rows = with_images(make_rows(3))
    cohort = ReadyCohort(
        "ucla-scanet", tmp_path, tuple(rows), {row.case_id: tmp_path for row in rows}, {}, True, {}, {}
    )
    with pytest.raises(NotEnoughCases, match="at least 2 patients"):
        measure(protocol, cohort, RunContext(tmp_path / "run", jobs=1, device="cpu"))
    assert not done
