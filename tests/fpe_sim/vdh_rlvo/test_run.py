"""The whole protocol on a cohort of noise: every table and figure, and the same again from what is on disk."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fpe_core.errors import TrainingError
from fpe_sim.ray_tasks import Progress
from fpe_sim.run_context import RunContext
from fpe_sim.vdh_rlvo.protocol import VdhProtocol
from fpe_sim.vdh_rlvo.run import run, run_on
from tests.fpe_sim.vdh_rlvo.conftest import MakeCohort


def in_this_process(
    function: Callable[..., None], tasks: Sequence[tuple[Any, ...]], *, context: RunContext, progress: Progress
) -> None:
    """`run_tasks` without Ray, which has tests of its own."""
    for done, task in enumerate(tasks, start=1):
        function(*task)
        progress(done, len(tasks))


def test_a_run_has_every_table_and_goes_on_from_what_is_there(
    make_cohort: MakeCohort, protocol: VdhProtocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("trainings", "vdh_rlvo.trained", "vdh_rlvo.attribution"):
        monkeypatch.setattr(f"fpe_sim.{module}.run_tasks", in_this_process)
    cohort = make_cohort(volumes=True)
    context = RunContext(tmp_path / "run", jobs=1, device="cpu")
    results = run_on(cohort, protocol, context)

    assert [table.id for table in results.tables] == [
        "table-1-vdh", "inclusion", "table-2", "table-3", "table-4", "majority-vote", "reachable", "daft-gain",
        "contributions", "odds-ratios", "mcnemar", "detection-by-cause", "subgroups",
    ]  # fmt: skip
    for table in results.tables:
        assert all(len(row.entries) == len(table.columns) for row in table.rows), table.id
    for figure in results.figures:
        for suffix in ("svg", "png"):
            assert (context.figures / f"{figure.id}.{suffix}").stat().st_size > 1000
    assert {"roc-test", "daft-gain", "fig-3-saliency-1", "fig-4-contributions"} <= {one.id for one in results.figures}
    assert results.numbers["num_development"] == 14
    assert results.numbers["num_test_positive"] == 4
    assert results.numbers["num_recovered"] == 2
    assert results.numbers["num_networks"] == 2 * 1 * 2
    assert results.numbers["contributions_sum"] == pytest.approx(1)
    assert "efficientnet-b0-plain-cta" in {path.name for path in context.trainings.iterdir()}
    assert "model-c-cta" in {path.name for path in context.trainings.iterdir()}

    weights = context.trainings / "model-b-cta" / "fold-1" / "weights.safetensors"
    before = weights.stat().st_mtime_ns
    monkeypatch.setattr("fpe_sim.vdh_rlvo.results.written_figures", lambda *_: results.figures)
    again = run_on(cohort, protocol, context)
    assert weights.stat().st_mtime_ns == before
    assert again.model_copy(update={"seconds": {}}) == results.model_copy(update={"seconds": {}})


def test_a_precision_that_trains_wrongly_is_refused_before_the_cohort_is_made(
    protocol: VdhProtocol, tmp_path: Path
) -> None:
    training = protocol.small.training.model_copy(update={"precision": "bfloat16"})
    small = protocol.small.model_copy(update={"training": training})
    with pytest.raises(TrainingError, match="float32 on a CPU"):
        run(protocol.model_copy(update={"small": small}), RunContext(tmp_path, jobs=1, device="cpu"))
    assert not list(tmp_path.iterdir())
