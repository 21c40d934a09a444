"""The study report: one HTML file that needs no network, no script and no other file.

Numbers come from `StudyResults`; this module turns them into what the template prints. Every text is escaped.
"""

import base64
import mimetypes
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel

from fpe_core.config.study import Task
from fpe_core.errors import FpeError
from fpe_core.evaluation.report_curves import learning_pictures, line_looks, roc_picture
from fpe_core.evaluation.results import SiteResults, StudyResults
from fpe_core.files import write_atomic
from fpe_core.protocol import Evaluation, Failure, Kind

TASKS: Mapping[Task, str] = {
    "fpe": "first-pass effect: whether the first pass of a thrombectomy opens the vessel",
    "recanalization": "recanalization: whether a thrombectomy opens the vessel in the end",
    "rlvo": "refractory large-vessel occlusion: whether the vessel resists a conventional thrombectomy",
}
KINDS: Mapping[Kind, str] = {
    Kind.DESCRIBE: "Before the study",
    Kind.TRAIN: "In a round",
    Kind.EVALUATE: "At the held-out test",
    Kind.ALONE: "Training alone",
}
TOO_FEW = "withheld: too few cases of a class"


class Cell(NamedTuple):
    """An AUC, or the reason why there is none, with its code if it has one."""

    value: float | None
    reason: str = ""
    code: str = ""


class SiteRow(NamedTuple):
    """One line of the table of sites."""

    site: str
    num_train: int
    num_validation: int
    num_test: int
    num_test_positive: str
    federated: Cell
    alone: Cell

    @property
    def difference(self) -> float | None:
        """AUC of the federated model minus that of the one trained alone."""
        if self.federated.value is None or self.alone.value is None:
            return None
        return self.federated.value - self.alone.value


class Event(NamedTuple):
    """Something that went wrong, and when."""

    when: str
    site: str
    failure: Failure


class LeftOut(NamedTuple):
    """Cases that a site quarantined for one reason."""

    site: str
    num_cases: int
    code: str
    sentence: str


class Picture(NamedTuple):
    """A QC picture as a data URI."""

    source: str
    alt: str
    caption: str


def write_report(results: StudyResults, path: Path, *, pictures: Mapping[str, Path] = MappingProxyType({})) -> None:
    """Write the report of a study as one HTML file.

    Args:
        results: a finished study.
        path: the file to write; its folder must exist.
        pictures: PNG or JPEG to show for each site, by the site's name.

    Raises:
        OSError: a picture cannot be read, or the report cannot be written.
    """
    write_atomic(path, render_report(results, pictures=pictures).encode())


def render_report(results: StudyResults, *, pictures: Mapping[str, Path] = MappingProxyType({})) -> str:
    """The text of the report. Arguments and errors as for `write_report`."""
    loader = PackageLoader("fpe_core.evaluation", "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    rows = [_site_row(results, site) for site in results.sites]
    return environment.get_template("report.html.j2").render(
        results=results,
        task=TASKS[results.plan.task],
        rows=rows,
        chosen_by_loss=any(entry.pooled_validation_loss is not None for entry in results.rounds),
        compared=sum(row.difference is not None for row in rows),
        roc=roc_picture(results),
        learning=learning_pictures(results),
        looks=line_looks(results),
        events=list(_events(results)),
        quarantined=list(_quarantined(results)),
        pictures=[_picture(site, file) for site, file in pictures.items()],
        plan=list(_flat(results.plan)),
        record=_record(results),
    )


def _site_row(results: StudyResults, site: SiteResults) -> SiteRow:
    described, tested = site.description, site.test or site.alone_test
    return SiteRow(
        site=site.site,
        num_train=described.num_train,
        num_validation=described.num_validation,
        num_test=tested.num_cases if tested else described.num_test,
        num_test_positive=_count(tested),
        federated=_cell(results, site.site, site.test, Kind.EVALUATE),
        alone=_cell(results, site.site, site.alone_test, Kind.ALONE),
    )


def _count(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return "unknown"
    return "withheld" if evaluation.num_positive is None else str(evaluation.num_positive)


def _cell(results: StudyResults, site: str, evaluation: Evaluation | None, kind: Kind) -> Cell:
    if evaluation is None:
        return _no_answer(results, site, kind)
    return Cell(evaluation.auc, "" if evaluation.auc is not None else TOO_FEW)


def _no_answer(results: StudyResults, site: str, kind: Kind) -> Cell:
    if kind is Kind.ALONE and not results.plan.federation.compare_with_local:
        return Cell(None, "not asked for")
    said = [one.failure for one in results.failures if one.site == site and one.kind is kind]
    return Cell(None, f"no answer: {said[-1].sentence}", said[-1].code) if said else Cell(None, "no answer")


def _events(results: StudyResults) -> Iterator[Event]:
    last = results.plan.federation.rounds
    yield from (Event(KINDS[f.kind], f.site, f.failure) for f in results.failures if f.kind is Kind.DESCRIBE)
    for number, site, failure in results.failures_in_rounds():
        yield Event(f"Round {number}" if number <= last else "Validation of the final model", site, failure)
    yield from (Event(KINDS[f.kind], f.site, f.failure) for f in results.failures if f.kind is not Kind.DESCRIBE)


def _quarantined(results: StudyResults) -> Iterator[LeftOut]:
    sentences = _sentences(FpeError)
    for site in results.sites:
        for code, count in sorted(site.description.quarantined.items()):
            yield LeftOut(site.site, count, code, sentences.get(code, "A reason that this release does not know."))


def _sentences(error: type[FpeError]) -> dict[str, str]:
    """The safe sentence of every error from `error` down, by code."""
    found = {error.code: error.safe_sentence}
    for child in error.__subclasses__():
        found |= _sentences(child)
    return found


def _picture(site: str, file: Path) -> Picture:
    mime = mimetypes.guess_type(file.name)[0] or "image/png"
    source = f"data:{mime};base64,{base64.b64encode(file.read_bytes()).decode()}"
    alt = f"Slices of one preprocessed case of {site}, with the outline of its brain mask"
    return Picture(source, alt, f"{site}: one case after preprocessing, in the template's space.")


def _flat(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of every option, as they stand in the plan's file."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", ", ".join(value) if isinstance(value, tuple) else value


def _record(results: StudyResults) -> list[tuple[str, str]]:
    total_s = sum(entry.duration_s for entry in results.rounds)
    return [
        ("Plan (sha256)", results.study_fingerprint),
        ("Chosen model (sha256)", results.model_sha256),
        ("Time in rounds", f"{total_s / 60:.1f} min, {total_s / len(results.rounds):.1f} s per exchange"),
    ]
