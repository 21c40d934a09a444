"""What an import did, case by case, under pseudonyms: patterns, numbers, codes, and no text of any header."""

from typing import Literal

from pydantic import Field

from fpe_core.config.base import FrozenModel
from fpe_core.data.case_table import ImageColumn


class SeriesSeen(FrozenModel):
    """One series. With the link table's study it is found again in the PACS by its number."""

    study: int
    """Which of the case's studies in the link table, from 1."""
    series_number: int | None
    """SeriesNumber."""
    modality: str
    """CT, MR, …"""
    num_slices: int
    """Distinct places along the normal."""
    slice_thickness_mm: float | None
    """From the header."""
    why: str
    """Why it was taken, or left."""


class ImageTaken(FrozenModel):
    """An image of a case."""

    file: str
    """Relative to the folder of the report."""
    sha256: str
    """Of that file."""
    series: SeriesSeen
    """What it was made from."""
    notes: tuple[str, ...]
    """What a reader should know, for example slices that were filled in."""
    cached: bool
    """It was there from an import before."""


class SeriesFailed(FrozenModel):
    """A series that was chosen and could not be read."""

    sequence: ImageColumn
    """For which image."""
    code: str
    """Error code, see `fpe_core.errors`."""
    sentence: str
    """What the code means."""
    series: SeriesSeen
    """Which one."""


class CaseReport(FrozenModel):
    """One case."""

    case_id: str
    """Pseudonym; the link table says whose."""
    patient_id: str
    """Pseudonym of the patient."""
    listed: bool
    """Whether it is in the case table: it has an image, is no phantom among patients, and no other case of the patient
    was given the clinical row."""
    phantom: bool = False
    """Its images say that they are a phantom's; it is not listed among patients."""
    images: dict[ImageColumn, ImageTaken] = Field(default_factory=dict)
    """What was taken, by sequence."""
    failed: tuple[SeriesFailed, ...] = ()
    """Series that could not be read; where another of the same sequence could, it was taken instead."""
    left: tuple[SeriesSeen, ...] = ()
    """Series that were not taken."""
    code: str | None = None
    """Why the case has no image at all; None when it has one."""


class ClinicalReport(FrozenModel):
    """How the clinical table was joined."""

    joined: int
    """Cases that got a row."""
    columns: tuple[str, ...]
    """Columns that were kept."""
    dropped: tuple[str, ...]
    """Columns that were not."""
    unjoined: dict[int, str]
    """Line of each row that fits no case, and why."""


class ImportReport(FrozenModel):
    """The file `import-report.json`."""

    schema_version: Literal[1] = 1
    """Version of this file's format."""
    kind: Literal["dicom"] = "dicom"
    """What was imported."""
    rules_sha256: str
    """Of the rules file."""
    cases: tuple[CaseReport, ...]
    """All of them, by case id."""
    refused_files: dict[str, int]
    """How many files could not be used, by error code."""
    ignored_files: dict[str, int]
    """How many files are no images, by what they are."""
    clinical: ClinicalReport | None = None
    """None when no clinical table was given."""
    cases_csv_sha256: str
    """Of `cases.csv` as it was written, to see whether somebody changed it since."""
    cases_csv_sha256_before: str | None = None
    """Of the one that it replaces, which is still there where the import was killed between the two; None if none."""
