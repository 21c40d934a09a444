"""What the report gets, from hand-made folds."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fpe_core.data.case_row import CaseRow
from fpe_core.state import FlatState, Layout
from fpe_core.training.fold_store import FoldOutcome
from fpe_sim.cohorts.ready import ReadyCohort
from fpe_sim.pretrained import Pretrained, PretrainingHistory
from fpe_sim.protocol import with_overrides
from fpe_sim.protocol_results import ProtocolResults
from fpe_sim.run_context import RunContext
from fpe_sim.ucla_fpe.cohorts import Cohorts
from fpe_sim.ucla_fpe.demographics import demographics
from fpe_sim.ucla_fpe.models import SSL, candidates
from fpe_sim.ucla_fpe.participants import participants
from fpe_sim.ucla_fpe.protocol import UclaFpe
from fpe_sim.ucla_fpe.results import Run, results_of

GOOD, FAIR = [0.9, 0.8, 0.7, 0.3, 0.2, 0.1], [0.9, 0.2, 0.6, 0.8, 0.3, 0.1]
HISTORY = PretrainingHistory(
    epoch_losses=(-0.2, -0.8), epoch_spreads=(0.9, 0.8), epoch_ranks=(3.0, 4.0), collapsed=False
)


@pytest.fixture
def results(
    make_row: Callable[..., CaseRow], make_fold: Callable[..., FoldOutcome], protocol: UclaFpe, tmp_path: Path
) -> ProtocolResults:
    """Of 14 development and 4 prospective patients, and of 3 scans of which one cannot be used."""
    rows = tuple(make_row(i, label=i % 2, year=2021 if i > 13 else 2016) for i in range(18))
    files = {row.case_id: Path(f"{row.case_id}.safetensors") for row in rows}
    labelled = ReadyCohort("ucla-mr", Path("site.yaml"), rows, files, {}, True, {"images": 0.9}, {})
    scans = ReadyCohort("ucla-mr-unlabelled", Path("site.yaml"), rows[:3], {}, {}, True, {}, {})
    networks = {one.name: GOOD if one.name == SSL else FAIR for one in candidates("mr")}
    folds = {name: tuple(make_fold(n, seen, GOOD) for n in (1, 2)) for name, seen in networks.items()}
    pretrained = Pretrained(FlatState(Layout(()), np.zeros(0, dtype=np.float32)), 1, HISTORY)
    tenth = with_overrides(protocol, ["dials.scale=0.1"])
    cohorts = Cohorts(labelled, scans, participants(labelled, tenth))
    run = Run(cohorts, demographics(tenth, cohorts.who), folds, pretrained, num_scans=2)
    return results_of(tenth, RunContext(tmp_path, jobs=1, device="cpu"), run)


def test_every_row_has_an_entry_for_each_column(results: ProtocolResults) -> None:
    assert [table.id for table in results.tables][:4] == [
        "table-1-ucla", "flow", "table-2-cross-validation", "table-4-prospective",
    ]  # fmt: skip
    for table in results.tables:
        assert {len(row.entries) for row in table.rows} == {len(table.columns)}
    assert len({table.id for table in results.tables}) == len(results.tables)


def test_each_figure_is_written_twice(results: ProtocolResults, tmp_path: Path) -> None:
    written = {path.name for path in (tmp_path / "figures").iterdir()}
    assert written == {f"{figure.id}.{kind}" for figure in results.figures for kind in ("svg", "png")}


def test_numbers_sentences_and_cohorts_agree(results: ProtocolResults) -> None:
    assert (results.numbers["num_development"], results.numbers["num_test"]) == (14, 4)
    assert results.numbers["ssl_gain"] == pytest.approx(1 - 2 / 3)
    assert results.numbers["share_of_reachable"] == pytest.approx(1.25)
    assert "+0.333" in results.findings[1]
    facts, scans = results.cohorts
    assert (facts.num_eligible, facts.num_included, facts.num_positive) == (18, 18, 9)
    assert (scans.num_included, scans.excluded) == (2, {"not usable, or of a labelled patient": 1})
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in results.numbers)


def test_what_contradicts_and_what_departs_is_told(results: ProtocolResults) -> None:
    told = " ".join(results.discrepancies)
    assert ".5011" in told
    assert "326 patients" in told
    assert "at most 30 epochs instead of 100" in told
