"""The report of a protocol: one HTML file that needs no network, no script and no other file.

Numbers come from `ProtocolResults`; this module arranges them, and the template prints them. Every text is escaped.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from fpe_core.errors import ResultsUnreadable
from fpe_core.files import write_atomic
from fpe_sim.protocol_results import CohortFacts, Entry, ProtocolResults, ResultFigure, ResultTable
from fpe_sim.run_folder import flat
from fpe_sim.run_record import RunRecord
from fpe_sim.spans import span

NOTHING = "–"
_WIDE, _VERY_WIDE = 6, 13
IMAGES: Mapping[str, str] = {
    "small": "small: a coarse grid and a narrow network, for trials",
    "full": "full: the paper's grid and the published network",
}


class Column(NamedTuple):
    """One column of a table: two sub-columns where the paper has something in it."""

    heading: str
    with_paper: bool


class Cell(NamedTuple):
    """One sub-column's text, and its classes in the style sheet."""

    text: str
    look: str


class Line(NamedTuple):
    """One row of a table."""

    name: str
    cells: tuple[Cell, ...]


class Table(NamedTuple):
    """A table as it is printed."""

    id: str
    title: str
    note: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    width: str
    """Class by number of sub-columns: empty, wide or very-wide."""


class Figure(NamedTuple):
    """A figure as a data URI."""

    id: str
    title: str
    caption: str
    source: str


class CohortLine(NamedTuple):
    """One cohort of the flow."""

    name: str
    kind: str
    eligible: int
    excluded: tuple[tuple[str, int], ...]
    included: int
    positive: str
    reachable: tuple[tuple[str, str], ...]


def write_protocol_report(
    results: ProtocolResults, settings: Mapping[str, Any], record: RunRecord, *, figures: Path, path: Path
) -> None:
    """Write the report of a run as one HTML file.

    Args:
        results: of a finished run.
        settings: the protocol's, resolved.
        record: command, machine and times.
        figures: folder with `ID.svg` of each figure.
        path: the file to write; its folder must exist.

    Raises:
        ResultsUnreadable: the file of a figure is missing.
    """
    write_atomic(path, render_protocol_report(results, settings, record, figures=figures).encode())


def render_protocol_report(
    results: ProtocolResults, settings: Mapping[str, Any], record: RunRecord, *, figures: Path
) -> str:
    """The text of the report. Arguments and errors as for `write_protocol_report`."""
    # The style sheet is that of the study report.
    loader = ChoiceLoader([PackageLoader("fpe_sim", "templates"), PackageLoader("fpe_core.evaluation", "templates")])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template("protocol_report.html.j2").render(
        results=results,
        summary=settings.get("summary", ""),
        dials=_dials(results, record),
        cohorts=[_cohort(facts) for facts in results.cohorts],
        with_reachable=any(facts.reachable_auc for facts in results.cohorts),
        tables=[_table(table) for table in results.tables],
        figures=[_figure(figure, figures) for figure in results.figures],
        nothing=NOTHING,
        command=record.command,
        seconds=[(name, span(value)) for name, value in results.seconds.items()],
        machines=_machines(record),
        settings=[(key, _setting(value)) for key, value in flat(settings).items()],
    )


def _dials(results: ProtocolResults, record: RunRecord) -> list[tuple[str, str]]:
    size = "the protocol's full size" if results.scale == 1 else f"{results.scale:.0%} of the protocol's full size"
    if not results.synthetic:
        size = "hospitals' own"
    lines = [("Cohorts", size), ("Images", IMAGES[results.images]), ("Trained on", results.device)]
    if record.parts:
        interrupted = f", in {len(record.parts)} parts" if len(record.parts) > 1 else ""
        lines.append(("Run time", f"{span(record.seconds)} with {_jobs(record)}{interrupted}"))
    return lines


def _jobs(record: RunRecord) -> str:
    counts = sorted({part.jobs for part in record.parts})
    return f"{' or '.join(map(str, counts))} {'job' if counts == [1] else 'jobs'}"


def _cohort(facts: CohortFacts) -> CohortLine:
    share = f" ({facts.num_positive / facts.num_included:.1%})" if facts.num_positive else ""
    return CohortLine(
        name=facts.name,
        kind="phantoms" if facts.synthetic else "patients",
        eligible=facts.num_eligible,
        excluded=tuple(facts.excluded.items()),
        included=facts.num_included,
        positive=f"{facts.num_positive}{share}",
        reachable=tuple((seen.replace("_", " "), f"{auc:.3f}") for seen, auc in facts.reachable_auc.items()),
    )


def _table(table: ResultTable) -> Table:
    columns = tuple(
        Column(heading, any(row.entries[i].paper for row in table.rows)) for i, heading in enumerate(table.columns)
    )
    lines = tuple(
        Line(
            row.name,
            tuple(cell for column, entry in zip(columns, row.entries, strict=True) for cell in _cells(column, entry)),
        )
        for row in table.rows
    )
    width = sum(1 + column.with_paper for column in columns)
    kind = "very-wide" if width > _VERY_WIDE else "wide" if width > _WIDE else ""
    return Table(table.id, table.title, table.note, columns, lines, kind)


def _cells(column: Column, entry: Entry) -> tuple[Cell, ...]:
    here = entry.here or NOTHING
    if not column.with_paper:
        return (Cell(here, "first here" if entry.here else "first none"),)
    return (
        Cell(entry.paper or NOTHING, "first paper" if entry.paper else "first paper none"),
        Cell(here, "here" if entry.here else "none"),
    )


def _figure(figure: ResultFigure, folder: Path) -> Figure:
    path = folder / f"{figure.id}.svg"
    try:
        text = base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise ResultsUnreadable(
            f"{path}: a figure of the results is missing",
            hint="delete results.json and give the same command: the trainings are kept",
        ) from error
    return Figure(figure.id, figure.title, figure.caption, f"data:image/svg+xml;base64,{text}")


def _machines(record: RunRecord) -> list[tuple[str, str]]:
    """Date and place of each part of the run."""
    return [
        (
            f"Part {number}" if len(record.parts) > 1 else "Machine",
            _part(part.machine, part.jobs, part.device, part.seconds),
        )
        for number, part in enumerate(record.parts, start=1)
    ]


def _part(machine: str, jobs: int, device: str, seconds: float) -> str:
    return f"{machine}; {jobs} {'job' if jobs == 1 else 'jobs'}, device {device}; {span(seconds)}"


def _setting(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
