"""What became of each case, as rows of the case table and of the report."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from fpe_core.data.case_table import IMAGE_COLUMNS, ImageColumn
from fpe_core.errors import CaseError, CaseSequenceMissing
from fpe_core.imaging.dicom.choose import CaseChoice
from fpe_core.imaging.dicom.clinic import ClinicalTable, Join
from fpe_core.imaging.dicom.convert import ConversionOutcome, Failure
from fpe_core.imaging.dicom.report import CaseReport, ClinicalReport, ImageTaken, SeriesFailed, SeriesSeen
from fpe_core.imaging.dicom.series import Series

_MODALITIES: Final = frozenset({"CT", "MR", "PT", "NM", "XA", "US", "CR", "DX", "OT", "SC", "RF"})
_SENTENCES: Final = {CaseError.code: CaseError.safe_sentence} | {
    error.code: error.safe_sentence for error in CaseError.__subclasses__()
}


@dataclass
class Case:
    """One case under its pseudonyms; `outcome` is there once it was converted."""

    case_id: str
    patient_id: str
    choice: CaseChoice
    outcome: ConversionOutcome = field(init=False)

    @property
    def phantom(self) -> bool:
        """Whether all of its images are a phantom's."""
        ranked = self.choice.ranked
        taken = [ranked[name][image.rank].series for name, image in self.outcome.images.items()]
        return bool(taken) and all(series.attributes.phantom for series in taken)


def listed_cases(cases: Sequence[Case], joined: Join | None) -> list[Case]:
    """Cases that go into the table: those with an image, by id.

    Of a patient with a joined case only the joined ones: what was scanned after a treatment is no case of its own, and
    without a treatment_date it would have the whole patient set aside (FPE-235). Among patients no phantoms: scanners
    are tested with them, and such tests lie in the same archive.
    """
    with_images = [case for case in cases if case.outcome.images]
    with_images = [case for case in with_images if not case.phantom] or with_images
    if joined is None:
        return with_images
    treated = {case.patient_id for case in with_images if case.case_id in joined.cells}
    return [case for case in with_images if case.case_id in joined.cells or case.patient_id not in treated]


def case_report(case: Case, *, listed: bool) -> CaseReport:
    """What was taken of a case, what failed, what was left."""
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
        phantom=case.phantom,
        images=images,
        failed=failed,
        left=tuple(sorted(left, key=lambda one: (one.study, one.series_number or 0))),
        code=code,
    )


def _seen(case: Case, series: Series, why: str) -> SeriesSeen:
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


def _image_path(case: Case, name: ImageColumn) -> str:
    return f"images/{case.case_id}/{name}.nii.gz"


def clinical_report(clinical: ClinicalTable | None, joined: Join | None) -> ClinicalReport | None:
    """How the clinical table was joined; None where there was none."""
    if clinical is None or joined is None:
        return None
    return ClinicalReport(
        joined=len(joined.cells), columns=clinical.columns, dropped=clinical.dropped, unjoined=joined.unjoined
    )


def cases_csv(cases: Sequence[Case], clinical: ClinicalTable | None, joined: Join | None) -> bytes:
    """One row for each of `cases`, all patients or all phantoms; columns of images that none has are left out."""
    sequences = [name for name in IMAGE_COLUMNS if any(name in case.outcome.images for case in cases)]
    synthetic = {"synthetic": "1"} if any(case.phantom for case in cases) else {}
    columns = ["case_id", "patient_id", *synthetic, *sequences, *(clinical.columns if clinical else ())]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, restval="", lineterminator="\n")
    writer.writeheader()
    for case in cases:
        images: dict[str, str] = {name: _image_path(case, name) for name in case.outcome.images}
        cells = joined.cells.get(case.case_id, {}) if joined else {}
        writer.writerow({"case_id": case.case_id, "patient_id": case.patient_id, **synthetic, **images, **cells})
    return text.getvalue().encode()
