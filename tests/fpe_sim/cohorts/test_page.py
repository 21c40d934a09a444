"""What docs/paper-cohorts.md says is what the code does."""

from pathlib import Path

import pytest

from fpe_sim.cohorts.flows import FLOWS
from fpe_sim.cohorts.paper import num_cases
from fpe_sim.cohorts.populations import UCLA_CT, UCLA_MR, UCLA_SCANET, VDH_DEVELOPMENT
from fpe_sim.cohorts.truth import reachable

PAGE = (Path(__file__).parents[3] / "docs" / "paper-cohorts.md").read_text()
POPULATIONS = {"UCLA MR": UCLA_MR, "UCLA CT": UCLA_CT, "SCANet": UCLA_SCANET, "VdH development": VDH_DEVELOPMENT}


def table(header: str) -> list[list[str]]:
    """Cells of the table that starts with `header`."""
    lines = PAGE[PAGE.index(f"| {header}") :].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_sizes_are_the_codes() -> None:
    rows = {cells[0].strip("`"): int(cells[1]) for cells in table("cohort | rows")}
    assert rows == {name: num_cases(name) for name in FLOWS}


def test_reachable_aucs_are_the_codes() -> None:
    reached = {name: reachable(population) for name, population in POPULATIONS.items()}
    for name, task, *sources in table("population | outcome"):
        found = reached[name][task.strip("`")]  # type: ignore[index]
        stated = [float(cell) for cell in sources[:3]]
        assert [found[source] for source in ("images", "table", "both")] == pytest.approx(stated, abs=0.006)


def test_exclusions_are_the_codes() -> None:
    counts = [cells[2].split(" ")[0] for cells in table("cohort | reason")]
    vdh = [int(count) for count in counts[4:]]
    assert vdh == list(FLOWS["vdh"].excluded.values())
