"""`fpe-client import dicom`: a PACS export to a case table, and words about what was taken and what was not."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fpe_client.console import told, words

if TYPE_CHECKING:
    from fpe_core.imaging.dicom.importing import ImportResult
    from fpe_core.imaging.dicom.report import CaseReport, ClinicalReport

Line = Callable[[str], None]
_SHOWN = 20
"""Lines of one kind that are shown before the rest is counted."""


def dicom(
    folder: Annotated[Path, typer.Argument(help="The PACS export: any folders and file names. It is only read.")],
    out: Annotated[Path, typer.Option(help="Where images, cases.csv and the report go.")] = Path("imported"),
    rules: Annotated[Path | None, typer.Option(help="The site's own rules; default are those shipped.")] = None,
    link_table: Annotated[
        Path | None, typer.Option(help="The one file with identifiers; default is link-table.json in --out.")
    ] = None,
    clinical: Annotated[
        Path | None, typer.Option(help="CSV with one row per treatment, to join by patient id.")
    ] = None,
    patient_column: Annotated[str, typer.Option(help="Its column with the PatientID.")] = "PatientID",
    keep: Annotated[
        list[str] | None, typer.Option(help="A further column of it to keep; may be repeated.", show_default=False)
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Cases side by side.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, words on stderr.")] = False,
) -> None:
    """Find the CT and MR series that a study needs in a PACS export and bring them into a case table.

    Names, ids and dates stay in the link table. What is done already is not done again.

    Example: fpe-client import dicom /exports/stroke --out /data/stroke
    """
    from fpe_core.imaging.content import file_sha256
    from fpe_core.imaging.dicom.clinic import read_clinical
    from fpe_core.imaging.dicom.importing import CASES, LINK_TABLE, REPORT, Places, import_dicom
    from fpe_core.imaging.dicom.rules import DEFAULT_RULES, load_rules
    from fpe_core.preprocessing.storage import storage_errors_told

    console = words()
    with told(as_json=as_json) as data:
        loaded = load_rules(rules)
        table = read_clinical(clinical, patient_column, keep or []) if clinical else None
        with _bar(console) as bar, storage_errors_told(out):
            task = bar.add_task("reading headers", total=None)

            def progress(done: int, total: int, case_id: str) -> None:
                bar.update(task, completed=done, total=total, description=f"converting {case_id}")

            result = import_dicom(
                Places(folder, out, link_table or out / LINK_TABLE),
                loaded,
                rules_sha256=file_sha256(rules or DEFAULT_RULES),
                clinical=table,
                jobs=jobs,
                progress=progress,
            )
        _say(result, console)
        data.update(folder=out, cases=out / CASES, report=out / REPORT, **_counts(result))


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _counts(result: "ImportResult") -> dict[str, object]:
    images = [image for case in result.report.cases for image in case.images.values()]
    return {
        "with_images": sum(bool(case.images) for case in result.report.cases),
        "without_images": {case.case_id: case.code for case in result.report.cases if case.code},
        "listed": sum(case.listed for case in result.report.cases),
        "images": len(images),
        "images_ready_before": sum(image.cached for image in images),
        "refused_files": result.report.refused_files,
        "joined": result.report.clinical.joined if result.report.clinical else None,
    }


def _say(result: "ImportResult", console: Console) -> None:
    from fpe_core.imaging.dicom.importing import COLOUR_PICTURE

    def line(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    among_patients = any(case.listed and not case.phantom for case in result.report.cases)
    for case in result.report.cases:
        line(_case_line(case, among_patients=among_patients))
    counts = _counts(result)
    line(
        f"{counts['with_images']} cases with {counts['images']} images, of which {counts['images_ready_before']} were"
        f" ready before; {len(result.report.cases) - int(str(counts['with_images']))} studies without an image"
    )
    _some(result.messages, "could not be read", line)
    if pictures := result.report.refused_files.get(COLOUR_PICTURE):
        line(f"{pictures} files are colour pictures, which nothing needs")
    if result.report.clinical:
        _say_joined(result.report.clinical, line)
    unnamed = [f"{count} × {text or '(no description)'}" for text, count in result.unnamed.most_common()]
    _some(unnamed, "series have descriptions that no pattern fits; docs/dicom.md says how to add one", line)
    if undated := _patients_without_days(result.table):
        line(
            f"{undated} patients have several cases without a treatment_date: preprocess sets them aside (FPE-235)"
            " until --clinical says which scan was before which treatment"
        )
    if result.gone:
        line(f"{result.gone} cases of the import before are not in this export and no longer in cases.csv")


def _patients_without_days(table: bytes) -> int:
    """Patients with several rows, of which one or more have no `treatment_date`."""
    days: dict[str, list[str]] = {}
    for row in csv.DictReader(io.StringIO(table.decode())):
        days.setdefault(row["patient_id"], []).append(row.get("treatment_date", ""))
    return sum(len(of_patient) > 1 and not all(of_patient) for of_patient in days.values())


def _case_line(case: "CaseReport", *, among_patients: bool) -> str:
    taken = [f"{name} (series {image.series.series_number})" for name, image in case.images.items()]
    failed = [f"{one.sequence} series {one.series.series_number} [{one.code}] {one.sentence}" for one in case.failed]
    what = ", ".join(taken) or f"nothing taken [{case.code}]"
    if taken and not case.listed:
        phantom = case.phantom and among_patients
        why = "a phantom is no patient" if phantom else "another case of the patient has the clinical row"
        what += f" (not in cases.csv: {why})"
    return "; ".join([f"{case.case_id}  {what}", *failed, *([f"{len(case.left)} left"] if case.left else [])])


def _say_joined(clinical: "ClinicalReport", line: Line) -> None:
    line(f"clinical table: {clinical.joined} cases got a row; columns kept: {', '.join(clinical.columns) or 'none'}")
    if clinical.dropped:
        line(f"  columns not kept: {', '.join(clinical.dropped)} (--keep NAME keeps one)")
    _some([f"line {number}: {why}" for number, why in clinical.unjoined.items()], "rows fit no case", line)
    if clinical.unjoined:
        line("  hint: ids are compared as they are written; a spreadsheet may have dropped leading zeros")


def _some(texts: Sequence[str], what: str, line: Line) -> None:
    if not texts:
        return
    line(f"{len(texts)} {what}:")
    for text in texts[:_SHOWN]:
        line(f"  {text}")
    if len(texts) > _SHOWN:
        line(f"  and {len(texts) - _SHOWN} more")
