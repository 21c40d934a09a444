"""A kind of protocol that trains nothing: for tests of everything around the kinds.

As a program it is `fpe-sim` with this kind in the place of external-validation, for tests that kill it.
"""

import sys
import time
from types import ModuleType

import matplotlib
from pydantic import Field

from fpe_core.config.base import FrozenModel
from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.report_figures import STYLE, canvas
from fpe_core.seeds import derive_seed
from fpe_sim.console import stage
from fpe_sim.figure_files import save_figure
from fpe_sim.kinds import Estimate, Kind
from fpe_sim.protocol import ProtocolBase
from fpe_sim.protocol_results import CohortFacts, Entry, ProtocolResults, ResultFigure, ResultTable, Row, interval_entry
from fpe_sim.run_context import RunContext

MODULE = "fpe_sim.external_validation"
YAML = """\
kind: external-validation
name: tiny
summary: Adds up a few numbers & trains nothing.
seed: 5
work: {steps: 3}
check:
  set: {dials.scale: 0.5, work.steps: 2}
  bands:
    - {number: cases, low: 50, high: 50}
    - {number: steps, low: 2, high: 2}
"""


class Work(FrozenModel):
    """What the run does."""

    steps: int = Field(default=3, ge=1)
    """Files that it makes, one after the other."""
    wait_s: float = 0.0
    """Seconds that each takes."""
    fails_at: int | None = None
    """Number of the file at which it fails; default never."""


class TinyProtocol(ProtocolBase):
    """A protocol of this kind."""

    work: Work = Work()


def estimate(protocol: TinyProtocol, context: RunContext) -> Estimate:
    """NaN seconds on a GPU, as the rates give them."""
    seconds = float("nan") if context.device == "cuda" else 7200.0 / context.jobs
    return Estimate({"phantoms-a": round(100 * protocol.dials.scale)}, 5, seconds, 3_500_000_000)


def run(protocol: TinyProtocol, context: RunContext) -> ProtocolResults:
    """Make the files that are missing, and count them."""
    made = []
    context.cohorts.mkdir(parents=True, exist_ok=True)
    with stage("files") as progress:
        for number in range(protocol.work.steps):
            path = context.cohorts / f"{number}.txt"
            if number == protocol.work.fails_at:
                raise NotEnoughCases(f"file {number} cannot be made", hint="leave work.fails_at out")
            if not path.exists():
                time.sleep(protocol.work.wait_s)
                path.write_text(str(derive_seed(protocol.seed, "file", number)))
                made.append(number)
            progress(number + 1, protocol.work.steps)
    with matplotlib.rc_context(STYLE):
        figure, axes = canvas((4, 3))
        axes.plot([0, 1], [0, protocol.work.steps])
        save_figure(figure, context.figures, "line")
    cases = round(100 * protocol.dials.scale)
    return ProtocolResults(
        protocol=protocol.name,
        kind=protocol.kind,
        title="A tiny run",
        sources=("Nobody, Journal of Nothing 2020",),
        synthetic=True,
        scale=protocol.dials.scale,
        images=protocol.dials.images,
        seed=protocol.seed,
        device="cpu",
        cohorts=(
            CohortFacts(
                name="phantoms-a", synthetic=True, num_eligible=cases, num_included=cases, num_positive=cases // 2
            ),
        ),
        findings=(f"The files are {protocol.work.steps} <in all>.",),
        numbers={"cases": cases, "steps": protocol.work.steps, "made": len(made)},
        tables=(
            ResultTable(
                id="t1", title="Table 1", columns=("AUC", "files"),
                rows=(
                    Row(
                        name="A, with comma",
                        entries=(interval_entry(0.75, 0.7, 0.8, ".7505 (.0438)"), Entry(here="3", value=3.0)),
                    ),
                    Row(name="B", entries=(Entry(paper=".8506 (.0712)"), Entry())),
                ),
            ),
        ),
        figures=(ResultFigure(id="line", title="Figure 1", caption="A line."),),
        discrepancies=("The paper prints 3 where it means 4.",),
    )  # fmt: skip


KIND = Kind(protocol=TinyProtocol, estimate=estimate, run=run)


def as_module() -> ModuleType:
    """A stand-in for the package of a kind."""
    module = ModuleType(MODULE)
    module.KIND = KIND  # type: ignore[attr-defined]
    return module


if __name__ == "__main__":
    sys.modules[MODULE] = as_module()
    from fpe_sim.cli import main

    main()
