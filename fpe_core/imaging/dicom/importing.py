"""A PACS export to a folder that `preprocess` can read.

OUT/
├── cases.csv              docs/case-table.md
├── import-report.json     what was taken, left and refused, and why; pseudonyms only
├── link-table.json        who is behind a pseudonym; the only file with identifiers
└── images/<case>/<sequence>.nii.gz, and <sequence>.json beside it
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from fpe_core.errors import CaseError, CaseNotVolume, ImportFailed
from fpe_core.imaging.content import file_sha256
from fpe_core.imaging.dicom.choose import CaseChoice, choose_cases
from fpe_core.imaging.dicom.clinic import ClinicalTable, ImportedCase, join
from fpe_core.imaging.dicom.convert import (
    ConversionOutcome,
    ConversionTask,
    Failure,
    Source,
    convert_cases,
    input_hash,
)
from fpe_core.imaging.dicom.outcome import Case, case_report, cases_csv, clinical_report, listed_cases
from fpe_core.imaging.dicom.pseudonym import LinkTable, alone_with
from fpe_core.imaging.dicom.report import ImportReport
from fpe_core.imaging.dicom.rules import ImportRules
from fpe_core.imaging.dicom.series import FolderScan, scan_folder
from fpe_core.preprocessing.processed import write_private
from fpe_core.preprocessing.storage import clear_leftovers

CASES: Final = "cases.csv"
REPORT: Final = "import-report.json"
LINK_TABLE: Final = "link-table.json"
COLOUR_PICTURE: Final = CaseNotVolume.code
"""What a scan says of a file that is a colour picture: every PACS sends some, and nothing is to be done about them."""
Progress = Callable[[int, int, str], None]
"""Called after each case with: cases done, cases in all, the case's id."""


@dataclass(frozen=True)
class Places:
    """Where an import reads and writes. `root` is only read."""

    root: Path
    out: Path
    link_table: Path


@dataclass(frozen=True)
class ImportResult:
    """What came of it. `unnamed` and `messages` may hold texts of headers and paths: for the terminal, not for a file.

    Attributes:
        report: the content of `import-report.json`.
        unnamed: description of series that no pattern fits, with their number.
        messages: what could not be read, in full; images of cases first. Colour pictures are not among it.
        gone: cases that the table listed before and that are not in this export.
        table: the content of `cases.csv`.
    """

    report: ImportReport
    unnamed: Counter[str] = field(repr=False)
    messages: tuple[str, ...] = field(repr=False)
    gone: int
    table: bytes = field(repr=False)


def import_dicom(
    places: Places,
    rules: ImportRules,
    *,
    rules_sha256: str,
    clinical: ClinicalTable | None,
    jobs: int,
    progress: Progress | None = None,
) -> ImportResult:
    """Scan, recognise, choose, convert, and write the table and the report.

    A second run converts only what changed. A kill at any moment loses no name and no image that was ready.

    Raises:
        ImportFailed: no such folder, no image in it, an output that would lie in it, a damaged or missing link table, a
            table that somebody changed, or another import at work.
    """
    _check(places)
    with alone_with(places.link_table):
        before = _report_before(places)
        for path in (places.out / REPORT, places.out / CASES, places.link_table):
            clear_leftovers(path.parent, path.name)
        table = LinkTable.load(places.link_table)
        scan = scan_folder(places.root)
        if not scan.series:
            raise _nothing_found(places.root, scan)
        cases = _named(choose_cases(scan.series, rules), table)
        # Names first: an image whose name is lost could not be told whose it is.
        table.save()
        _convert(cases, places, table, jobs, progress)
        result = _result(cases, scan, rules_sha256, clinical, before, _sha256_now(places.out / CASES))
        # The report knows the table before and after: a kill between the two writes is not taken for a change by hand.
        write_private(places.out / REPORT, (result.report.model_dump_json(indent=1) + "\n").encode())
        write_private(places.out / CASES, result.table)
    return result


def _sha256_now(path: Path) -> str | None:
    return file_sha256(path) if path.exists() else None


def _check(places: Places) -> None:
    if not places.root.is_dir():
        raise ImportFailed(f"{places.root}: no such folder", hint="name the folder that the PACS export was written to")
    root = places.root.resolve()
    for path in (places.out.resolve(), places.link_table.resolve()):
        if path == root or root in path.parents:
            raise ImportFailed(f"{path} lies in the export, which is only read", hint="choose a folder outside of it")
    if places.out.exists() and not places.out.is_dir():
        raise ImportFailed(f"{places.out}: a file, expected a folder or nothing", hint="choose another --out")


def _report_before(places: Places) -> ImportReport | None:
    """The report of the import before this one; refuses to go on where that would lose something."""
    path, cases = places.out / REPORT, places.out / CASES
    if not path.exists() and not cases.exists():
        return None
    if not places.link_table.exists():
        raise ImportFailed(
            f"{places.out} holds an import whose link table {places.link_table} is missing",
            hint="bring it back or name it by --link-table; for a new start choose an empty --out",
        )
    try:
        report = ImportReport.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ImportFailed(
            f"{path}: not the report of an import by this version ({type(error).__name__})",
            hint=f"move it and {CASES} away and import again; names and images stay",
        ) from None
    if cases.exists() and file_sha256(cases) not in (report.cases_csv_sha256, report.cases_csv_sha256_before):
        raise ImportFailed(
            f"{cases} was changed after it was imported, and would be overwritten",
            hint="move it away, or import into another --out; clinical columns come in by --clinical",
        )
    return report


def _nothing_found(root: Path, scan: FolderScan) -> ImportFailed:
    counts = f"{len(scan.refused)} files could not be used, {len(scan.ignored)} are no DICOM images"
    example = f"; the first: {scan.refused[0].message}" if scan.refused else ""
    return ImportFailed(f"{root}: no DICOM image found ({counts}{example})", hint="name the folder of the PACS export")


def _named(choices: Sequence[CaseChoice], table: LinkTable) -> list[Case]:
    cases = []
    for choice in choices:
        case_id = table.case(choice.patient_key, choice.study_keys, choice.started.date() if choice.started else None)
        cases.append(Case(case_id, table.patient(choice.patient_key), choice))
    return sorted(cases, key=lambda case: case.case_id)


def _convert(cases: Sequence[Case], places: Places, table: LinkTable, jobs: int, progress: Progress | None) -> None:
    by_id = {case.case_id: case for case in cases}
    tasks = []
    for case in cases:
        try:
            tasks.append(_task(case, places, table))
        except CaseError as error:
            failures = tuple(Failure(name, 0, error.code, str(error)) for name in case.choice.ranked)
            case.outcome = ConversionOutcome(case.case_id, failures=failures)
    done = len(cases) - len(tasks)
    for outcome in convert_cases([task for task in tasks if task.sources], jobs=jobs):
        by_id[outcome.case_id].outcome = outcome
        done += 1
        if progress:
            progress(done, len(cases), outcome.case_id)
    for task in tasks:
        if not task.sources:
            by_id[task.case_id].outcome = ConversionOutcome(task.case_id)


def _task(case: Case, places: Places, table: LinkTable) -> ConversionTask:
    sources = {
        name: tuple(Source(one.series, input_hash(one.series, places.root, table)) for one in ranked)
        for name, ranked in case.choice.ranked.items()
    }
    return ConversionTask(case.case_id, places.out / "images" / case.case_id, sources)


def _result(
    cases: Sequence[Case],
    scan: FolderScan,
    rules_sha256: str,
    clinical: ClinicalTable | None,
    before: ImportReport | None,
    before_sha256: str | None,
) -> ImportResult:
    joined = join(clinical, [_imported(case) for case in _in_time(cases) if case.outcome.images]) if clinical else None
    listed = listed_cases(cases, joined)
    reports = tuple(case_report(case, listed=case in listed) for case in cases)
    table = cases_csv(listed, clinical, joined)
    report = ImportReport(
        rules_sha256=rules_sha256,
        cases=reports,
        refused_files=dict(sorted(Counter(refused.code for refused in scan.refused).items())),
        ignored_files=dict(sorted(Counter(ignored.reason for ignored in scan.ignored).items())),
        clinical=clinical_report(clinical, joined),
        cases_csv_sha256=hashlib.sha256(table).hexdigest(),
        cases_csv_sha256_before=before_sha256,
    )
    now = {case.case_id for case in reports if case.images}
    gone = sum(case.case_id not in now for case in before.cases if case.images) if before else 0
    unnamed = Counter(
        left.series.attributes.description for case in cases for left in case.choice.left if not left.named
    )
    messages = [
        f"{case.case_id} {failure.sequence} [{failure.code}]: {failure.message}"
        for case in cases
        for failure in case.outcome.failures
    ]
    messages += [f"[{one.code}] {one.message}" for one in scan.refused if one.code != COLOUR_PICTURE]
    return ImportResult(report, unnamed, tuple(messages), gone, table)


def _in_time(cases: Sequence[Case]) -> list[Case]:
    return sorted(cases, key=lambda case: (case.choice.started or datetime.min, case.case_id))


def _imported(case: Case) -> ImportedCase:
    started = case.choice.started
    return ImportedCase(case.case_id, case.choice.patient_key, started.date() if started else None)
