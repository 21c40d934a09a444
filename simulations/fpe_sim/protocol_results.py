"""`results.json` of a protocol: tables and figures beside the paper's, and what the reader must know to judge them."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from fpe_core.config.base import FrozenModel
from fpe_core.errors import ResultsUnreadable
from fpe_core.evaluation.folds import MeanSd, format_mean_sd
from fpe_core.evaluation.scores import FEWEST_FOR_DELONG
from fpe_core.files import write_atomic

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class _Document(FrozenModel):
    """Numbers that could not be computed are written as the string NaN, which JSON has no number for."""

    model_config = FrozenModel.model_config | {"ser_json_inf_nan": "strings"}


class Entry(_Document):
    """One cell: what was measured here and what the paper prints."""

    here: str = ""
    """As the report shows it; empty where it was not measured."""
    paper: str = ""
    """As the paper prints it; empty where it prints nothing."""
    value: float | None = None
    """The measured number."""
    sd: float | None = None
    """Its standard deviation over folds or seeds."""
    low: float | None = None
    """Lower end of its 95 % interval."""
    high: float | None = None
    """Upper end of its 95 % interval."""


class Row(_Document):
    """One row of a table."""

    name: str
    """What the row is about."""
    entries: tuple[Entry, ...]
    """One for each column of the table."""


class ResultTable(_Document):
    """One table. In the report each column is two: paper and here; one where the paper has nothing in it."""

    id: Slug
    """Name of its CSV file."""
    title: str
    """With the paper's own table number where it has one."""
    columns: tuple[str, ...]
    """Heading of each entry."""
    rows: tuple[Row, ...]
    """In the paper's order; those that only this run has come after them."""
    note: str = ""
    """What the reader has to know: which cases, which threshold, which interval."""

    @model_validator(mode="after")
    def _rows_are_whole(self) -> "ResultTable":
        for row in self.rows:
            if len(row.entries) != len(self.columns):
                raise ValueError(
                    f"table {self.id}, row {row.name}: should have {len(self.columns)} entries, got {len(row.entries)}"
                )
        return self


class ResultFigure(_Document):
    """One figure; `figures/ID.svg` and `figures/ID.png` lie beside results.json."""

    id: Slug
    """Name of its files."""
    title: str
    """With the paper's own figure number where it has one."""
    caption: str
    """What is drawn, of which cases."""


class CohortFacts(_Document):
    """Who took part."""

    name: str
    """Name of the cohort."""
    synthetic: bool
    """True for phantoms."""
    num_eligible: int
    """Cases in its table."""
    num_included: int
    """Cases that took part."""
    num_positive: int
    """Included cases with the outcome."""
    excluded: dict[str, int] = Field(default_factory=dict)
    """Number left out by reason."""
    reachable_auc: dict[str, float] = Field(default_factory=dict)
    """Phantoms only. Best AUC that any model can reach, by what it sees: images, table, both."""


class ProtocolResults(_Document):
    """What one run of a protocol found."""

    schema_version: Literal[1] = 1
    """Version of this file's format."""
    protocol: str
    """Name of the protocol."""
    kind: str
    """Its kind."""
    title: str
    """Heading of the report."""
    sources: tuple[str, ...]
    """The papers beside whose numbers ours stand."""
    synthetic: bool
    """True when any case is a phantom: then nothing here says anything about patients."""
    scale: float
    """Dial: cohort sizes as a share of the paper's."""
    images: Literal["small", "full"]
    """Dial: grid and network width."""
    seed: int
    """All random draws come from it."""
    device: str
    """What the trainings ran on."""
    software: dict[str, str] = Field(default_factory=dict)
    """Versions by name. `fpe-sim` writes those of the platform and its libraries; a kind adds others."""
    seconds: dict[str, float] = Field(default_factory=dict)
    """Wall time of each stage, in this and earlier parts of the run, from `stages.timed`."""
    cohorts: tuple[CohortFacts, ...]
    """Those that took part, unlabelled ones too."""
    findings: tuple[str, ...]
    """The answers in sentences, most important first, each with its interval."""
    numbers: dict[str, float]
    """Single numbers by name, for machines and for acceptance bands."""
    tables: tuple[ResultTable, ...]
    """In the report's order."""
    figures: tuple[ResultFigure, ...]
    """In the report's order."""
    discrepancies: tuple[str, ...] = ()
    """Where the papers contradict themselves, and where this run departs from them."""


def save_protocol_results(results: ProtocolResults, path: Path) -> None:
    """Write `results` as indented JSON; a reader never sees half a file."""
    write_atomic(path, (results.model_dump_json(indent=1) + "\n").encode())


def load_protocol_results(path: Path) -> ProtocolResults:
    """Read what `save_protocol_results` wrote.

    Raises:
        ResultsUnreadable: no such file, or not what this version defines.
    """
    try:
        return ProtocolResults.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ResultsUnreadable(f"{path}: cannot be read ({type(error).__name__})") from error
    except ValidationError as error:
        raise ResultsUnreadable(f"{path}: {error.errors()[0]['msg']}", hint="run the protocol again") from error


def mean_sd_entry(value: MeanSd | None, paper: str = "", *, digits: int = 4) -> Entry:
    """A mean (SD) over folds; empty where no fold has the number."""
    if value is None:
        return Entry(paper=paper)
    return Entry(here=format_mean_sd(value, digits=digits), paper=paper, value=value.mean, sd=value.sd)


DELONG_RANGE = f"the whole range with fewer than {FEWEST_FOR_DELONG} cases of a class"
"""What a note says of DeLong's intervals."""


def interval_entry(value: float, low: float, high: float, paper: str = "", *, digits: int = 3) -> Entry:
    """A number with its 95 % interval."""
    here = f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
    return Entry(here=here, paper=paper, value=value, low=low, high=high)
