"""ISLES'24 as a case table (Riedel et al., arXiv 2408.11142; releases of the challenge and on Zenodo).

FOLDER/
├── rawdata or raw_data/SUBJECT/ses-01/…_ncct.nii.gz, …_cta.nii.gz, perfusion-maps/…_tmax.nii.gz, …_cbf.nii.gz
├── derivatives/SUBJECT/ses-01/…_space-ncct_cta.nii.gz, perfusion-maps/…_space-ncct_tmax.nii.gz
│                           …_space-ncct_lvo-msk.nii.gz
└── phenotype/…/SUBJECT_…_demographic_baseline.csv or .xlsx, SUBJECT_…_outcome.csv or .xlsx

A subject is sub-stroke0001 or sub-strokecase0001, a session ses-01 or ses-0001. The second session was imaged days
after treatment: none of its images is ever taken.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fpe_core.data.layouts.bids import check_identifier, is_synthetic
from fpe_core.data.layouts.columns import clinical_cells, column_of
from fpe_core.data.layouts.files import check_volume_file, images_in, suffix_of
from fpe_core.data.layouts.imported import FoundCase, Imported, Progress, each_case, note
from fpe_core.data.layouts.occlusion import occlusion_side
from fpe_core.data.layouts.perfusion import perfusion_volumes
from fpe_core.data.layouts.tables import SUFFIXES, Row, read_table
from fpe_core.errors import CaseError, CaseFileMissing, CaseSequenceMissing, ImportFailed
from fpe_core.imaging.nifti import read_volume
from fpe_core.imaging.volume import Volume

_RAW: Final = ("rawdata", "raw_data")
_ACUTE: Final = ("ses-0001", "ses-01", "ses-1")
_KINDS: Final = ("demographic_baseline", "outcome")


def import_isles24(folder: Path, *, progress: Progress | None = None) -> Imported:
    """Find the cases of an ISLES'24 tree. No image is copied.

    Volumes of Tmax and CBF are counted on the perfusion maps; the side comes from the mask of the occlusion. The grade
    after treatment becomes `final_mtici`. The data set records no passes, stenosis or rescue treatment: a label for
    `recanalization` follows for all graded cases, for `fpe` and `rlvo` for failures only.

    Args:
        folder: the data set's root, or one that holds it under train/.
        progress: told about every subject.

    Raises:
        ImportFailed: no folder of raw data with subjects in it, or two.
    """
    root, raw = _find_raw(folder)
    notes = [] if (root / "phenotype").is_dir() else ["phenotype: not there, so no clinical column is filled"]
    tables = _phenotype_files(root)
    subjects = sorted(path for path in raw.glob("sub-*") if path.is_dir())
    cases, left_out = each_case(subjects, lambda place: _case(root, place, tables.get(place.name, {})), progress)
    return Imported("isles24", cases, left_out, tuple(notes), is_synthetic(root))


def _find_raw(folder: Path) -> tuple[Path, Path]:
    found = [
        (root.resolve(), (root / name).resolve())
        for root in (folder, folder / "train")
        for name in _RAW
        if any((root / name).glob("sub-*/"))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ImportFailed(
            f"{folder}: raw data lie in {' and in '.join(str(raw.relative_to(folder.resolve())) for _, raw in found)}",
            hint="take one of them away, or give the root of one",
        )
    raise ImportFailed(
        f"{folder}: expected rawdata/sub-NAME/ or raw_data/sub-NAME/, got neither",
        hint="give the folder that holds raw_data, derivatives and phenotype",
    )


def _case(root: Path, subject: Path, tables: dict[str, list[Path]]) -> FoundCase:
    check_identifier(subject.name)
    acute = _acute(subject)
    derived = root / "derivatives" / subject.name / acute.name
    images, notes = _images(acute, derived)
    if not images:
        raise CaseSequenceMissing(
            f"{subject.name}: no NCCT and no CTA can be used" + "".join(f"; {text}" for text in notes),
            hint=f"expected …_ncct.nii.gz and …_cta.nii.gz in {acute.name}",
        )
    row, unread = _phenotype(tables)
    cells, empty = clinical_cells(row)
    volumes, uncounted = _perfusion(acute, derived)
    cells |= {name: f"{value:g}" for name, value in volumes.items()}
    side, unsided = _side(images, derived)
    cells |= side
    return FoundCase(subject.name, subject.name, images, cells, (*notes, *unread, *empty, *uncounted, *unsided))


def _acute(subject: Path) -> Path:
    """The session before treatment."""
    found = [subject / name for name in _ACUTE if (subject / name).is_dir()]
    if len(found) != 1:
        there = ", ".join(path.name for path in found) or ", ".join(sorted(p.name for p in subject.iterdir())) or "none"
        raise ImportFailed(f"{subject.name}: expected one session ses-01 or ses-0001, got {there}")
    return found[0]


def _images(acute: Path, derived: Path) -> tuple[dict[str, Path], list[str]]:
    """NCCT and CTA as acquired; a CTA that lies on the NCCT's voxels where there is no other."""
    images: dict[str, Path] = {}
    notes: list[str] = []
    for name in ("ncct", "cta"):
        try:
            images[name] = _one(name, acute, derived)
            check_volume_file(images[name])
        except CaseError as error:
            images.pop(name, None)
            notes.append(note(name, error))
    return images, notes


def _one(suffix: str, *folders: Path) -> Path:
    """The file with this suffix in the first folder that has one.

    Raises:
        CaseFileMissing: none has it, or one has several.
    """
    for folder in folders:
        found = [path for path in images_in(folder) if suffix_of(path) == suffix]
        if len(found) > 1:
            raise CaseFileMissing(f"several files could be it: {', '.join(path.name for path in found)}")
        if found:
            return found[0]
    raise CaseFileMissing("no such file")


def _perfusion(acute: Path, derived: Path) -> tuple[dict[str, float], list[str]]:
    folders = [folder / "perfusion-maps" for folder in (acute, derived)]
    try:
        tmax = read_volume(_one("tmax", *folders))
    except CaseError as error:
        return {}, [note("tmax", error)]
    cbf: Volume | None = None
    notes: list[str] = []
    try:
        cbf = read_volume(_one("cbf", *folders))
    except CaseError as error:
        notes.append(note("cbf", error))
    try:
        volumes = perfusion_volumes(tmax, cbf)
    except CaseError as error:
        return {}, [*notes, note("tmax", error)]
    if "cbf_under_30_ml" not in volumes:
        notes.append("cbf_under_30_ml: empty, since CBF lies on other voxels or has no normal tissue to compare with")
    return volumes, notes


def _side(images: dict[str, Path], derived: Path) -> tuple[dict[str, str], list[str]]:
    """`occlusion_side` from the mask that experts drew on the CTA, which lies on the NCCT's voxels."""
    try:
        mask = read_volume(_one("lvo-msk", derived))
        side = occlusion_side(mask, read_volume(images["ncct"])) if "ncct" in images else None
    except CaseError as error:
        return {}, [note("lvo-msk", error)]
    if side is None:
        return {}, ["occlusion_side: empty, since the mask lies in the middle or there is no NCCT to compare with"]
    return {"occlusion_side": side}, []


def _phenotype_files(root: Path) -> dict[str, dict[str, list[Path]]]:
    """Tables by subject and kind, wherever they lie under phenotype/."""
    found: dict[str, dict[str, list[Path]]] = {}
    for path in sorted((root / "phenotype").rglob("sub-*")):
        kind = next((kind for kind in _KINDS if path.stem.lower().endswith(kind)), None)
        if kind and path.is_file() and path.suffix.lower() in SUFFIXES:
            found.setdefault(path.name.split("_", 1)[0], {}).setdefault(kind, []).append(path)
    return found


def _phenotype(tables: dict[str, list[Path]]) -> tuple[Row, list[str]]:
    """The cells of both tables, and what is wrong with them."""
    row: Row = {}
    notes: list[str] = []
    for kind in _KINDS:
        try:
            cells = _only_row(kind, tables.get(kind, []))
        except ImportFailed as error:
            notes.append(f"{kind}: {error} [{error.code}]")
            continue
        if not any(_known(cells)):
            notes.append(f"{kind}: no column is known among {', '.join(cells) or 'none'} [{ImportFailed.code}]")
        row |= cells
    return row, notes


def _known(cells: Row) -> Iterator[bool]:
    return (column_of(header) is not None for header in cells)


def _only_row(kind: str, paths: list[Path]) -> Row:
    """The one row of the one table; the same table as CSV and as XLSX counts once.

    Raises:
        ImportFailed: no table, several, or not one row.
    """
    by_place = {path.with_suffix(""): path for path in sorted(paths, reverse=True)}
    if len(by_place) != 1:
        raise ImportFailed(f"expected one table …_{kind}.csv or .xlsx, got {len(by_place)}")
    path = next(iter(by_place.values()))
    rows = read_table(path)
    if len(rows) != 1:
        raise ImportFailed(f"{path.name}: expected one row below the header, got {len(rows)}")
    return rows[0]
