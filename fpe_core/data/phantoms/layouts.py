"""Phantom hospitals as public data sets lay them out: a BIDS tree, and a tree as of ISLES'24."""

import csv
import gzip
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import nibabel
import numpy as np
from numpy.typing import NDArray

from fpe_core.data.case_table import CaseRow
from fpe_core.files import write_atomic
from fpe_core.imaging.nifti import read_volume
from fpe_core.preprocessing.adc import normalise_adc_unit

nib: Any = nibabel
"""nibabel's own type information is partial."""
B_VALUES: Final = (0, 1000, 1000, 1000)
DIRECTION_FACTORS: Final = (0.8, 1.0, 1.25)
"""Signal along each direction against the trace image; their product is 1."""
MAP_SHAPE: Final = (110, 110, 16)
MAP_SPACING_MM: Final = (2.0, 2.0, 5.0)
_HEAD_RADII_MM: Final = (70.0, 85.0, 70.0)
_CORE, _SLOW, _NORMAL = 10.0, 25.0, 50.0
_DOOR_TO_IMAGING_MIN: Final = 20


def write_bids_tree(folder: Path, rows: Sequence[CaseRow]) -> None:
    """Write phantom MR cases as BIDS: FLAIR, a diffusion series of b0 and three directions, ADC, and both tables.

    Args:
        folder: made where it is missing.
        rows: phantoms with dwi, adc and flair.
    """
    _describe(folder)
    names = [f"sub-{number:03}" for number in range(1, len(rows) + 1)]
    for name, row in zip(names, rows, strict=True):
        place, stem = folder / name / "ses-01", f"{name}_ses-01"
        (place / "anat").mkdir(parents=True, exist_ok=True)
        (place / "dwi").mkdir(exist_ok=True)
        shutil.copyfile(row.images["flair"], place / "anat" / f"{stem}_FLAIR.nii.gz")
        shutil.copyfile(row.images["adc"], place / "dwi" / f"{stem}_adc.nii.gz")
        _write_series(place / "dwi" / f"{stem}_dwi", row)
    clinic = ("age_years", "sex", "nihss", "iv_thrombolysis", "hypertension", "diabetes", "occlusion_side")
    outcome = ("num_passes", "mtici_after_first_pass", "final_mtici")
    for path, columns in (("participants.tsv", clinic), ("phenotype/thrombectomy.tsv", outcome)):
        lines = [
            {"participant_id": name} | {column: _text(getattr(row, column)) for column in columns}
            for name, row in zip(names, rows, strict=True)
        ]
        _write_table(folder / path, lines, separator="\t")


def write_isles24_tree(folder: Path, rows: Sequence[CaseRow]) -> None:
    """Write phantom CT cases as ISLES'24: NCCT, CTA, perfusion maps whose volumes are the rows' own, and phenotype.

    The second session holds a DWI, as the data set does; it shows the brain after treatment and is not to be used.

    Args:
        folder: made where it is missing.
        rows: phantoms with ncct and cta, all four perfusion volumes and a side.
    """
    _describe(folder)
    for number, row in enumerate(rows, start=1):
        name = f"sub-stroke{number:04}"
        acute, later = folder / "raw_data" / name / "ses-01", folder / "raw_data" / name / "ses-02"
        maps = acute / "perfusion-maps"
        for place in (maps, later):
            place.mkdir(parents=True, exist_ok=True)
        for sequence in ("ncct", "cta"):
            shutil.copyfile(row.images[sequence], acute / f"{name}_ses-01_{sequence}.nii.gz")
        tmax, cbf = perfusion_maps(row)
        affine = np.diag([*MAP_SPACING_MM, 1.0])
        affine[:3, 3] = -(np.array(MAP_SHAPE) - 1) / 2 * MAP_SPACING_MM
        for kind, values in (("tmax", tmax), ("cbf", cbf)):
            _write_image(maps / f"{name}_ses-01_{kind}.nii.gz", values, affine)
        _write_image(later / f"{name}_ses-02_dwi.nii.gz", cbf, affine)
        derived = folder / "derivatives" / name / "ses-01"
        derived.mkdir(parents=True, exist_ok=True)
        _write_occlusion(derived / f"{name}_ses-01_space-ncct_lvo-msk.nii.gz", row)
        phenotype = folder / "phenotype" / name
        _write_table(phenotype / "ses-01" / f"{name}_ses-01_demographic_baseline.csv", [_baseline(row)])
        _write_table(phenotype / "ses-02" / f"{name}_ses-02_outcome.csv", [_outcome(row)])


def perfusion_maps(row: CaseRow) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Tmax in s and CBF in ml/100 g/min, `MAP_SHAPE` at `MAP_SPACING_MM` in RAS+, whose volumes are the row's.

    The slow tissue is a ball in the hemisphere of `occlusion_side`, and the core its middle.
    """
    x, y, z = (
        (np.arange(size) - (size - 1) / 2)[tuple(slice(None) if axis == at else None for at in range(3))] * spacing
        for axis, (size, spacing) in enumerate(zip(MAP_SHAPE, MAP_SPACING_MM, strict=True))
    )
    head = (x / _HEAD_RADII_MM[0]) ** 2 + (y / _HEAD_RADII_MM[1]) ** 2 + (z / _HEAD_RADII_MM[2]) ** 2 < 1
    sign = -1 if row.occlusion_side == "left" else 1
    distance = (x - sign * 35) ** 2 + y**2 + z**2
    nearest = np.argsort(np.where(head & (sign * x > 0), distance, np.inf), axis=None, kind="stable")
    tmax, cbf = np.where(head, 2.0, 0.0).astype(np.float32), np.where(head, _NORMAL, 0.0).astype(np.float32)
    for values, value, volume_ml in (
        (tmax, 5.0, row.tmax_over_4_s_ml),
        (tmax, 8.0, row.tmax_over_6_s_ml),
        (tmax, 12.0, row.tmax_over_10_s_ml),
        (cbf, _SLOW, row.tmax_over_4_s_ml),
        (cbf, _CORE, row.cbf_under_30_ml),
    ):
        values.reshape(-1)[nearest[: round((volume_ml or 0.0) * 1000 / np.prod(MAP_SPACING_MM))]] = value
    return tmax, cbf


def _write_series(stem: Path, row: CaseRow) -> None:
    """b0 from the trace image and ADC, three directions around the trace image, and the b-values beside them."""
    trace = read_volume(row.images["dwi"])
    adc, _ = normalise_adc_unit(read_volume(row.images["adc"]))
    b0 = trace.data_xyz * np.exp(adc.data_xyz)
    volumes = [b0, *(trace.data_xyz * np.float32(factor) for factor in DIRECTION_FACTORS)]
    _write_image(stem.parent / f"{stem.name}.nii.gz", np.stack(volumes, axis=3), trace.affine_ras)
    directions = np.array([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    (stem.parent / f"{stem.name}.bval").write_text(" ".join(map(str, B_VALUES)) + "\n")
    (stem.parent / f"{stem.name}.bvec").write_text("\n".join(" ".join(map(str, line)) for line in directions) + "\n")


def _write_occlusion(path: Path, row: CaseRow) -> None:
    """A ball of 4 mm, 20 mm beside the middle of the soft tissue, on the NCCT's voxels."""
    ncct = read_volume(row.images["ncct"])
    index = np.argwhere((ncct.data_xyz > 0) & (ncct.data_xyz < 100))
    centre_mm = ncct.affine_ras[:3, :3] @ index.mean(axis=0) + ncct.affine_ras[:3, 3]
    centre_mm[0] += -20 if row.occlusion_side == "left" else 20
    places = np.moveaxis(np.indices(ncct.data_xyz.shape), 0, -1) @ ncct.affine_ras[:3, :3].T + ncct.affine_ras[:3, 3]
    marked = ((places - centre_mm) ** 2).sum(axis=-1) < 4**2
    _write_image(path, marked.astype(np.float32), ncct.affine_ras)


def _baseline(row: CaseRow) -> Mapping[str, str]:
    onset = row.onset_to_image_min
    door = min(_DOOR_TO_IMAGING_MIN, int(onset or _DOOR_TO_IMAGING_MIN))
    return {
        "Center": "1",
        "Sex": _text(row.sex),
        "Age": _text(row.age_years),
        "Atrial fibrillation": _text(row.atrial_fibrillation),
        "Hypertension": _text(row.hypertension),
        "Diabetes": _text(row.diabetes),
        "Hyperlipidemia": _text(row.dyslipidaemia),
        "Glucose": "",
        "Wake-up": _text(row.unwitnessed_onset),
        "Onset to door": "" if onset is None else _clock(onset - door),
        "NIHSS at admission": _text(row.nihss),
        "mRS premorbid": "0",
        "Door to imaging": _clock(door),
    }


def _outcome(row: CaseRow) -> Mapping[str, str]:
    return {"NIHSS 24h": "nan", "mRS 3 months": "2", "mTici postinterventional": _text(row.final_mtici)}


def _clock(minutes: float) -> str:
    return f"{int(minutes) // 60:02}:{int(minutes) % 60:02}:00"


def _text(value: object) -> str:
    """As a cell: yes and no are 1 and 0, nothing is empty."""
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _describe(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    description = {"Name": "Phantoms", "BIDSVersion": "1.9.0", "DatasetType": "raw", "Synthetic": True}
    write_atomic(folder / "dataset_description.json", (json.dumps(description, indent=1) + "\n").encode())


def _write_table(path: Path, lines: Sequence[Mapping[str, str]], *, separator: str = ",") -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), delimiter=separator, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.getvalue().encode())


def _write_image(path: Path, values: NDArray[np.float32], affine_ras: NDArray[np.float64]) -> None:
    image = nib.Nifti1Image(values, affine_ras)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine_ras, 1)
    write_atomic(path, gzip.compress(image.to_bytes(), compresslevel=1, mtime=0))
