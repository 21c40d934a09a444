"""A PACS export to a folder that `preprocess` can read.

OUT/
├── cases.csv              docs/case-table.md
├── import-report.json     what was taken, left and refused, and why; pseudonyms only
├── link-table.json        who is behind a pseudonym; the only file with identifiers
└── images/<case>/<sequence>.nii.gz, and <sequence>.json beside it
"""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from fpe_core.data.case_table import IMAGE_COLUMNS, ImageColumn
from fpe_core.errors import CaseError, CaseSequenceMissing, ImportFailed
from fpe_core.imaging.content import file_sha256
from fpe_core.imaging.dicom.choose import CaseChoice, choose_cases
from fpe_core.imaging.dicom.clinic import ClinicalTable, ImportedCase, Join, join
from fpe_core.imaging.dicom.convert import ConversionOutcome, ConversionTask, Failure, Source, convert_cases, input_hash
from fpe_core.imaging.dicom.pseudonym import LinkTable, alone_with
from fpe_core.imaging.dicom.report import (
    CaseReport,
    ClinicalReport,
    ImageTaken,
    ImportReport,
    SeriesFailed,
    SeriesSeen,
)
from fpe_core.imaging.dicom.rules import ImportRules
from fpe_core.imaging.dicom.series import FolderScan, Series, scan_folder
from fpe_core.preprocessing.processed import write_private

CASES: Final = "cases.csv"
REPORT: Final = "import-report.json"
LINK_TABLE: Final = "link-table.json"
Progress = Callable[[int, int, str], None]
"""Called after each case with: cases done, cases in all, the case's id."""


_MODALITIES: Final = frozenset({"CT", "MR", "PT", "NM", "XA", "US", "CR", "DX", "OT", "SC", "RF"})


_SENTENCES: Final = {error.code: error.safe_sentence for error in CaseError.__subclasses__()}


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
        messages: what could not be read, in full.
        gone: cases that the table listed before and that are not in this export.
        table: the content of `cases.csv`.
    """

    report: ImportReport
    unnamed: Counter[str] = field(repr=False)
    messages: tuple[str, ...] = field(repr=False)
    gone: int
    table: bytes = field(repr=False)


@dataclass
class _Case:
    case_id: str
    patient_id: str
    choice: CaseChoice
    outcome: ConversionOutcome = field(init=False)


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
        table = LinkTable.load(places.link_table)
        scan = scan_folder(places.root)
        if not scan.series:
            raise _nothing_found(places.root, scan)
        cases = _named(choose_cases(scan.series, rules), table)
        # Names first: an image whose name is lost could not be told whose it is.
        table.save()
        _convert(cases, places, table, jobs, progress)
        result = _result(cases, scan, rules_sha256, clinical, before)
        # The report holds the table's hash: a kill between the two is taken for a change, and nothing is lost.
        write_private(places.out / REPORT, (result.report.model_dump_json(indent=1) + "\n").encode())
        write_private(places.out / CASES, result.table)
    return result


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
    if cases.exists() and file_sha256(cases) != report.cases_csv_sha256:
        raise ImportFailed(
            f"{cases} was changed after it was imported, and would be overwritten",
            hint="move it away, or import into another --out; clinical columns come in by --clinical",
        )
    return report


def _nothing_found(root: Path, scan: FolderScan) -> ImportFailed:
    counts = f"{len(scan.refused)} files could not be used, {len(scan.ignored)} are no DICOM images"
    example = f"; the first: {scan.refused[0].message}" if scan.refused else ""
    return ImportFailed(f"{root}: no DICOM image found ({counts}{example})", hint="name the folder of the PACS export")


def _named(choices: Sequence[CaseChoice], table: LinkTable) -> list[_Case]:
    cases = []
    for choice in choices:
        case_id = table.case(choice.patient_key, choice.study_keys, choice.started.date() if choice.started else None)
        cases.append(_Case(case_id, table.patient(choice.patient_key), choice))
    return sorted(cases, key=lambda case: case.case_id)


def _convert(cases: Sequence[_Case], places: Places, table: LinkTable, jobs: int, progress: Progress | None) -> None:
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


def _task(case: _Case, places: Places, table: LinkTable) -> ConversionTask:
    sources = {
        name: tuple(Source(one.series, input_hash(one.series, places.root, table)) for one in ranked)
        for name, ranked in case.choice.ranked.items()
    }
    return ConversionTask(case.case_id, places.out / "images" / case.case_id, sources)


def _result(
    cases: Sequence[_Case],
    scan: FolderScan,
    rules_sha256: str,
    clinical: ClinicalTable | None,
    before: ImportReport | None,
) -> ImportResult:
    joined = join(clinical, [_imported(case) for case in _in_time(cases) if case.outcome.images]) if clinical else None
    listed = _listed(cases, joined)
    reports = tuple(_case_report(case, listed=case in listed) for case in cases)
    table = _cases_csv(listed, clinical, joined)
    report = ImportReport(
        rules_sha256=rules_sha256,
        cases=reports,
        refused_files=dict(sorted(Counter(refused.code for refused in scan.refused).items())),
        ignored_files=dict(sorted(Counter(ignored.reason for ignored in scan.ignored).items())),
        clinical=_clinical_report(clinical, joined),
        cases_csv_sha256=hashlib.sha256(table).hexdigest(),
    )
    now = {case.case_id for case in reports if case.images}
    gone = sum(case.case_id not in now for case in before.cases if case.images) if before else 0
    unnamed = Counter(
        left.series.attributes.description for case in cases for left in case.choice.left if not left.named
    )
    messages = [refused.message for refused in scan.refused]
    messages += [
        f"{case.case_id} {failure.sequence}: {failure.message}" for case in cases for failure in case.outcome.failures
    ]
    return ImportResult(report, unnamed, tuple(messages), gone, table)


def _in_time(cases: Sequence[_Case]) -> list[_Case]:
    return sorted(cases, key=lambda case: (case.choice.started or datetime.min, case.case_id))


def _imported(case: _Case) -> ImportedCase:
    started = case.choice.started
    return ImportedCase(case.case_id, case.choice.patient_key, started.date() if started else None)


def _listed(cases: Sequence[_Case], joined: Join | None) -> list[_Case]:
    """Cases that go into the table: those with an image, by id.

    Of a patient with a joined case only the joined ones: what was scanned after a treatment is no case of its own, and
    without a treatment_date it would have the whole patient set aside (FPE-235).
    """
    with_images = [case for case in cases if case.outcome.images]
    if joined is None:
        return with_images
    treated = {case.patient_id for case in with_images if case.case_id in joined.cells}
    return [case for case in with_images if case.case_id in joined.cells or case.patient_id not in treated]


def _case_report(case: _Case, *, listed: bool) -> CaseReport:
    seen = {name: [_seen(case, one.series, one.why) for one in ranked] for name, ranked in case.choice.ranked.items()}
    images: dict[ImageColumn, ImageTaken] = {}
    failed_ranks = {(failure.sequence, failure.rank) for failure in case.outcome.failures}
    left = [_seen(case, one.series, one.why) for one in case.choice.left]
    for name, candidates in seen.items():
        image = case.outcome.images.get(name)
        if image is not None:
            images[name] = ImageTaken(
                file=_image_path(case, name),
                sha256=image.sha256,
                series=candidates[image.rank],
                notes=image.notes,
                cached=image.cached,
            )
        behind = [c for rank, c in enumerate(candidates) if (name, rank) not in failed_ranks]
        left += [c for c in behind if image is None or c is not candidates[image.rank]]
    failed = tuple(_failed(failure, seen[failure.sequence][failure.rank]) for failure in case.outcome.failures)
    code = None if images else (failed[0].code if failed else CaseSequenceMissing.code)
    return CaseReport(
        case_id=case.case_id,
        patient_id=case.patient_id,
        listed=listed,
        images=images,
        failed=failed,
        left=tuple(sorted(left, key=lambda one: (one.study, one.series_number or 0))),
        code=code,
    )


def _seen(case: _Case, series: Series, why: str) -> SeriesSeen:
    attributes = series.attributes
    return SeriesSeen(
        study=case.choice.study_keys.index(series.study_key) + 1,
        series_number=attributes.number,
        modality=attributes.modality if attributes.modality in _MODALITIES else "other",
        num_slices=attributes.num_slices,
        slice_thickness_mm=attributes.slice_thickness_mm,
        why=why,
    )


def _failed(failure: Failure, series: SeriesSeen) -> SeriesFailed:
    return SeriesFailed(sequence=failure.sequence, code=failure.code, sentence=_SENTENCES[failure.code], series=series)


def _image_path(case: _Case, name: ImageColumn) -> str:
    return f"images/{case.case_id}/{name}.nii.gz"


def _clinical_report(clinical: ClinicalTable | None, joined: Join | None) -> ClinicalReport | None:
    if clinical is None or joined is None:
        return None
    return ClinicalReport(
        joined=len(joined.cells), columns=clinical.columns, dropped=clinical.dropped, unjoined=joined.unjoined
    )


def _cases_csv(cases: Sequence[_Case], clinical: ClinicalTable | None, joined: Join | None) -> bytes:
    """One row for each of `cases`; columns of images that none has are left out."""
    sequences = [name for name in IMAGE_COLUMNS if any(name in case.outcome.images for case in cases)]
    columns = ["case_id", "patient_id", *sequences, *(clinical.columns if clinical else ())]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, restval="", lineterminator="\n")
    writer.writeheader()
    for case in cases:
        images: dict[str, str] = {name: _image_path(case, name) for name in case.outcome.images}
        cells = joined.cells.get(case.case_id, {}) if joined else {}
        writer.writerow({"case_id": case.case_id, "patient_id": case.patient_id, **images, **cells})
    return text.getvalue().encode()
