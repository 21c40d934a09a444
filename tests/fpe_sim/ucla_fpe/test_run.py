"""One whole protocol on noise with a bright patch: every network, self-supervision, tables and figures."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from fpe_core.data.case_row import CaseRow
from fpe_sim.cohorts.ready import ReadyCohort
from fpe_sim.protocol import with_overrides
from fpe_sim.run_context import RunContext
from fpe_sim.ucla_fpe.cohorts import Cohorts
from fpe_sim.ucla_fpe.participants import participants
from fpe_sim.ucla_fpe.protocol import UclaFpe
from fpe_sim.ucla_fpe.run import run_on

TINY = (
    "region=brain",
    "num_folds=2",
    "small.base_width=8",
    "small.training.local_epochs=1",
    "small.training.flip_left_right=false",
    "small.pretraining.rounds=1",
    "small.pretraining.plan.local_epochs=1",
    "small.pretraining.plan.batch_size=4",
    "small.pretraining.plan.projector_width=16",
    "small.pretraining.plan.projection_size=16",
    "small.pretraining.plan.predictor_width=8",
)


@pytest.fixture
def cohorts(make_site: Callable[..., Path], make_row: Callable[..., CaseRow], protocol: UclaFpe) -> Cohorts:
    """12 development and 4 prospective patients; for self-supervision these, who are kept out, and 12 others."""
    site = make_site(num_positive=8, num_negative=8, shape=(26, 16, 16))
    folder = site.parent / "state" / "preprocessed" / "mnt-dl-mr-small"
    rows = [make_row(i, label=int(i < 8), year=2021 if i % 8 < 2 else 2016) for i in range(16)]
    files = {row.case_id: folder / f"{row.case_id}.safetensors" for row in rows}
    reachable = {"images": 0.89, "table": 0.73}
    labelled = ReadyCohort("ucla-mr", site, tuple(rows), files, {}, True, reachable, groups={})
    others = [row.model_copy(update={"case_id": f"u{i}", "patient_id": f"u{i}"}) for i, row in enumerate(rows[:12])]
    scans = files | {f"u{i}": files[f"c{i}"] for i in range(12)}
    unlabelled = ReadyCohort("ucla-mr-unlabelled", site, (*rows, *others), scans, {}, True, reachable, groups={})
    return Cohorts(labelled, unlabelled, participants(labelled, protocol))


@pytest.mark.integration
def test_a_protocol_runs_to_its_end_and_is_read_the_second_time(
    cohorts: Cohorts, protocol: UclaFpe, tmp_path: Path
) -> None:
    tiny = with_overrides(protocol, TINY)
    context = RunContext(tmp_path / "run", jobs=2, device="cpu")
    # A process of its own takes with it what Ray leaves behind.
    with ProcessPoolExecutor(1, get_context("spawn")) as apart:
        results = apart.submit(run_on, cohorts, tiny, context).result()
        trained = {path: path.stat().st_mtime_ns for path in context.trainings.rglob("*.safetensors")}
        again = apart.submit(run_on, cohorts, tiny, context).result()
    assert results.synthetic
    assert results.numbers["num_development"] == 12
    assert results.numbers["num_test"] == 4
    assert results.cohorts[1].num_included == 12
    assert [len(row.entries) for table in results.tables for row in table.rows] == [
        len(table.columns) for table in results.tables for _ in table.rows
    ]
    for figure in results.figures:
        assert (context.figures / f"{figure.id}.svg").is_file()
        assert (context.figures / f"{figure.id}.png").is_file()
    assert len(trained) == 2 * 5 + 1
    assert again.model_copy(update={"seconds": results.seconds}) == results
    assert {path: path.stat().st_mtime_ns for path in trained} == trained
