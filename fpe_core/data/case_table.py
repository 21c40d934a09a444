"""A site's case table: one CSV row per case, with image paths, clinical columns and outcome columns."""

import csv
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, ValidationError

from fpe_core.config.base import FrozenModel
from fpe_core.errors import CaseTableInvalid

ImageColumn = Literal["ncct", "cta", "vessels", "dwi", "adc", "flair", "b0", "b1000"]
IMAGE_COLUMNS: tuple[ImageColumn, ...] = get_args(ImageColumn)
Grade = Literal["0", "1", "2a", "2b", "2c", "3"]
"""mTICI or eTICI reperfusion grade."""
OcclusionSite = Literal["ica", "m1", "m2", "m3", "aca", "pca", "basilar", "vertebral"]

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Volume = Annotated[float, Field(ge=0, le=2000, allow_inf_nan=False)]


class CaseRow(FrozenModel):
    """One case. Everything but the two ids may be unknown (None; an empty cell in the CSV)."""

    case_id: Identifier
    """Name of this case in the site's own files; unique in the table. Letters, digits, dot, hyphen, underscore."""
    patient_id: Identifier
    """The same for all cases of one patient: a patient never stands in two splits."""
    images: dict[ImageColumn, Path]
    """Image files that exist for this case, by sequence; absolute, or relative to the working folder."""
    synthetic: bool = False
    """True for a phantom."""

    treatment_date: date | None = None
    """Day of the thrombectomy, YYYY-MM-DD. It stays at the site; a split by date needs it."""
    significant_haemorrhage: bool | None = None
    """Exclusion: 1 for a significant haemorrhage before treatment."""
    no_occlusion_on_angiography: bool | None = None
    """Exclusion: 1 when the baseline angiography shows no occlusion."""
    several_occlusions: bool | None = None
    """Exclusion: 1 for several synchronous occlusions."""
    image_quality_degraded: bool | None = None
    """Exclusion: 1 when a reader found an image degraded beyond use, for example by motion or metal."""

    age_years: Annotated[float, Field(ge=0, le=120, allow_inf_nan=False)] | None = None
    """Age at admission, in years."""
    sex: Literal["F", "M"] | None = None
    """F or M."""
    nihss: Annotated[int, Field(ge=0, le=42)] | None = None
    """NIHSS at arrival, 0 to 42."""
    aspects: Annotated[int, Field(ge=0, le=10)] | None = None
    """ASPECTS on the pre-treatment scan, 0 to 10."""
    onset_to_image_min: Annotated[float, Field(ge=0, le=43200, allow_inf_nan=False)] | None = None
    """Minutes from known onset to imaging; empty when the onset is unknown."""
    unwitnessed_onset: bool | None = None
    """1 for wake-up or unwitnessed stroke."""
    iv_thrombolysis: bool | None = None
    """1 when thrombolysis was given before the thrombectomy."""
    hypertension: bool | None = None
    """1 or 0."""
    dyslipidaemia: bool | None = None
    """1 or 0."""
    diabetes: bool | None = None
    """1 or 0."""
    atrial_fibrillation: bool | None = None
    """1 or 0."""
    smoker: bool | None = None
    """1 or 0."""
    occlusion_side: Literal["left", "right"] | None = None
    """Side of the occluded vessel in the patient: left or right."""
    occlusion_site: OcclusionSite | None = None
    """The occluded vessel: ica is the terminal internal carotid."""
    cbf_under_30_ml: Volume | None = None
    """CT perfusion: volume with CBF below 30 % of the other side, in ml."""
    tmax_over_4_s_ml: Volume | None = None
    """CT perfusion: volume with Tmax above 4 s, in ml."""
    tmax_over_6_s_ml: Volume | None = None
    """CT perfusion: volume with Tmax above 6 s, in ml."""
    tmax_over_10_s_ml: Volume | None = None
    """CT perfusion: volume with Tmax above 10 s, in ml."""

    num_passes: Annotated[int, Field(ge=0, le=20)] | None = None
    """Thrombectomy passes (aspiration or stent retriever) until the end of conventional treatment."""
    mtici_after_first_pass: Grade | None = None
    """Reperfusion grade after the first pass."""
    final_mtici: Grade | None = None
    """Reperfusion grade at the end of conventional treatment, before any rescue treatment."""
    stenosis_percent: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None
    """Residual angiographic stenosis at the occlusion, in percent."""
    rescue_treatment: bool | None = None
    """1 when angioplasty or stenting followed a failed conventional treatment."""

    @property
    def available_sequences(self) -> frozenset[ImageColumn]:
        """Sequences that this case has or that follow from others: b1000 is a DWI, and b0 with b1000 gives ADC."""
        names = set(self.images)
        if names & {"dwi", "b1000"}:
            names.add("dwi")
            if "b0" in names:
                names.add("adc")
        return frozenset(names)


COLUMNS: tuple[str, ...] = (*IMAGE_COLUMNS, *(name for name in CaseRow.model_fields if name != "images"))
"""Every column that a case table may have, besides those whose name starts with `note_`."""


@dataclass(frozen=True)
class CaseTable:
    """The rows of one CSV.

    Attributes:
        rows: the cases in the file's order.
        synthetic: True when the cases are phantoms.
    """

    rows: tuple[CaseRow, ...]
    synthetic: bool


def read_case_table(path: Path) -> CaseTable:
    """Read and check a case table (docs/case-table.md). Image files are not opened here.

    Raises:
        CaseTableInvalid: no such file, not a comma-separated UTF-8 table, a column that nobody defined, a value that
            is not allowed, a case id that stands twice, or phantoms among real cases. The message gives file, line
            and column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = tuple(_rows(path, csv.reader(file, strict=True)))
    except FileNotFoundError:
        raise CaseTableInvalid(f"{path}: no such file", hint="data.cases in the site file names this path") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        detail = str(error) if isinstance(error, csv.Error) else type(error).__name__
        raise CaseTableInvalid(
            f"{path}: not a comma-separated UTF-8 table ({detail})", hint="save the sheet as CSV UTF-8"
        ) from None
    if not rows:
        raise CaseTableInvalid(f"{path}: expected one row per case, got none")
    if len({row.synthetic for row in rows}) > 1:
        raise CaseTableInvalid(f"{path}: column synthetic: expected phantoms only or real cases only, got both")
    return CaseTable(rows, rows[0].synthetic)


def _rows(path: Path, reader: Iterator[list[str]]) -> Iterator[CaseRow]:
    header = [name.strip() for name in next(reader, [])]
    _check_header(path, header)
    line_of: dict[str, int] = {}
    line = 1
    for cells in reader:
        line = getattr(reader, "line_num", line + 1)
        if not any(cell.strip() for cell in cells):
            continue
        row = _row(path, line, header, cells)
        if row.case_id in line_of:
            raise CaseTableInvalid(
                f"{path}:{line}: column case_id: expected each case once, "
                f"got {row.case_id} already on line {line_of[row.case_id]}"
            )
        line_of[row.case_id] = line
        yield row


def _check_header(path: Path, header: list[str]) -> None:
    where = f"{path}:1"
    for name in header:
        if name in COLUMNS or name.startswith("note_"):
            continue
        near = difflib.get_close_matches(name, COLUMNS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "remove it, or let its name start with note_"
        if ";" in name or "\t" in name:
            hint = "separate columns by commas"
        raise CaseTableInvalid(
            f"{where}: column {name or '(empty)'}: unknown, expected one of {', '.join(COLUMNS)}", hint=hint
        )
    for name in ("case_id", "patient_id"):
        if name not in header:
            raise CaseTableInvalid(f"{where}: column {name}: required, and missing")
    if twice := next((name for name in header if header.count(name) > 1), None):
        raise CaseTableInvalid(f"{where}: column {twice}: stands here twice")


def _row(path: Path, line: int, header: list[str], cells: list[str]) -> CaseRow:
    if len(cells) != len(header):
        raise CaseTableInvalid(f"{path}:{line}: expected {len(header)} cells as in the header, got {len(cells)}")
    filled = {
        name: cell.strip()
        for name, cell in zip(header, cells, strict=True)
        if cell.strip() and not name.startswith("note_")
    }
    images = {name: path.parent / filled.pop(name) for name in IMAGE_COLUMNS if name in filled}
    try:
        return CaseRow.model_validate({**filled, "images": images})
    except ValidationError as error:
        raise _explain(path, line, error) from None


def _explain(path: Path, line: int, error: ValidationError) -> CaseTableInvalid:
    problem = error.errors()[0]
    column = str(problem["loc"][0])
    if problem["type"] == "missing":
        return CaseTableInvalid(f"{path}:{line}: column {column}: required, and empty")
    expected = problem["msg"].removeprefix("Input ")
    hint = CaseRow.model_fields[column].description or ""
    return CaseTableInvalid(
        f"{path}:{line}: column {column}: {expected}, got {problem['input']!r}",
        hint=f"{hint} Leave the cell empty when it is not known.",
    )
