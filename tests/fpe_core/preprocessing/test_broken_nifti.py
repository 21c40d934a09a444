"""Broken files and headers, each with its reason code, beside a healthy case that is not held up by them."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from fpe_core.config.recipe import recipe_named
from fpe_core.imaging.nifti import read_volume, write_volume
from fpe_core.imaging.volume import Volume
from fpe_core.preprocessing.case import CaseFiles
from fpe_core.preprocessing.cohort import preprocess_cohort
from fpe_core.preprocessing.manifest import load_quarantine

MISSING, UNREADABLE, NO_VOLUME, EMPTY = "FPE-211", "FPE-212", "FPE-213", "FPE-214"
NOT_FINITE, SPACING, MODALITY, HEADER = "FPE-215", "FPE-216", "FPE-217", "FPE-224"


class Breaker:
    """Breaks one healthy scan in many ways; every method gives the path of what came out."""

    def __init__(self, folder: Path, scan: Volume) -> None:
        self.folder, self.scan = folder, scan
        self.healthy = folder / "healthy.nii.gz"
        write_volume(scan, self.healthy)
        self.plain = gzip.decompress(self.healthy.read_bytes())

    def raw(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def image(self, name: str, data: np.ndarray, affine: np.ndarray | None = None) -> Path:
        image = nibabel.Nifti1Image(data, self.scan.affine_ras if affine is None else affine)
        image.header.set_xyzt_units("mm")
        nibabel.save(image, self.folder / f"{name}.nii.gz")
        return self.folder / f"{name}.nii.gz"

    def header(self, name: str, change: Callable[[nibabel.Nifti1Header], None]) -> Path:
        """The healthy scan's bytes after a changed header, as a damaged converter would write them."""
        header = nibabel.Nifti1Image.from_bytes(self.plain).header
        change(header)
        return self.raw(f"{name}.nii", header.binaryblock + self.plain[348:])

    def with_value(self, name: str, value: float) -> Path:
        data = self.scan.data_xyz.copy()
        data[10, 11, 12] = value
        return self.image(name, data)

    def scaled(self, name: str, factors: tuple[float, float, float]) -> Path:
        return self.image(name, self.scan.data_xyz, self.scan.affine_ras @ np.diag([*factors, 1.0]))


def set_field(field: str, value: object) -> Callable[[nibabel.Nifti1Header], None]:
    def change(header: nibabel.Nifti1Header) -> None:
        header[field] = value

    return change


def no_place(header: nibabel.Nifti1Header) -> None:
    header["qform_code"] = header["sform_code"] = 0


def mirrored_qform(header: nibabel.Nifti1Header) -> None:
    affine = header.get_sform() @ np.diag([-1.0, 1, 1, 1])
    header.set_qform(affine, code=1)


def other_size_in_qform(header: nibabel.Nifti1Header) -> None:
    sform = header.get_sform()
    header.set_qform(sform @ np.diag([1, 1, 1.4, 1]), code=1)
    header.set_sform(sform, code=1)


def unit(name: str) -> Callable[[nibabel.Nifti1Header], None]:
    return lambda header: header.set_xyzt_units(name)


def colours(shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros(shape, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])


def leaning(affine: np.ndarray, tilt_deg: float) -> np.ndarray:
    tilted = affine.copy()
    size = np.linalg.norm(affine[:3, 1])
    tilted[:3, 1] = size * np.array([0, np.cos(np.radians(tilt_deg)), np.sin(np.radians(tilt_deg))])
    return tilted


def folder_named_as_a_file(breaker: Breaker) -> Path:
    (breaker.folder / "folder.nii.gz").mkdir(exist_ok=True)
    return breaker.folder / "folder.nii.gz"


def copy_named(breaker: Breaker, name: str) -> Path:
    """The healthy scan under another name, packed anew: the bytes differ, so that it is not the same image twice."""
    return breaker.raw(name, gzip.compress(breaker.plain, compresslevel=1, mtime=len(name)))


BROKEN: dict[str, tuple[str, Callable[[Breaker], Path]]] = {
    "missing": (MISSING, lambda b: b.folder / "none.nii.gz"),
    "empty file": (UNREADABLE, lambda b: b.raw("empty.nii.gz", b"")),
    "text": (UNREADABLE, lambda b: b.raw("text.nii", b"patient moved, repeat the scan\n" * 40)),
    "zeros": (UNREADABLE, lambda b: b.raw("zeros.nii", bytes(4096))),
    "truncated gzip": (UNREADABLE, lambda b: b.raw("cut.nii.gz", b.healthy.read_bytes()[:-5000])),
    "damaged gzip": (UNREADABLE, lambda b: b.raw("bits.nii.gz", b.healthy.read_bytes()[:3000] + bytes(3000))),
    "truncated data": (UNREADABLE, lambda b: b.raw("short.nii", b.plain[: len(b.plain) // 2])),
    "header alone": (UNREADABLE, lambda b: b.raw("alone.nii", b.plain[:348])),
    "gzip without its suffix": (UNREADABLE, lambda b: copy_named(b, "zipped.nii")),
    "unknown extension": (UNREADABLE, lambda b: copy_named(b, "scan.img2")),
    "DICOM": (UNREADABLE, lambda b: b.raw("slice.nii", bytes(128) + b"DICM" + bytes(2000))),
    "folder": (UNREADABLE, folder_named_as_a_file),
    "too many voxels": (UNREADABLE, lambda b: b.header("huge", set_field("dim", [3, 9999, 9999, 12, 1, 1, 1, 1]))),
    "negative sizes": (UNREADABLE, lambda b: b.header("minus", set_field("dim", [3, -4, 5, 6, 1, 1, 1, 1]))),
    "unknown type": (UNREADABLE, lambda b: b.header("type", set_field("datatype", 4321))),
    "one slice": (NO_VOLUME, lambda b: b.image("flat", b.scan.data_xyz[:, :, 10])),
    "four dimensions": (NO_VOLUME, lambda b: b.image("four", np.stack([b.scan.data_xyz] * 2, axis=-1))),
    "colour picture": (NO_VOLUME, lambda b: b.image("rgb", colours(b.scan.data_xyz.shape))),
    "complex numbers": (NO_VOLUME, lambda b: b.image("complex", b.scan.data_xyz.astype(np.complex64))),
    "constant": (EMPTY, lambda b: b.image("constant", np.full_like(b.scan.data_xyz, -1000.0))),
    "NaN": (NOT_FINITE, lambda b: b.with_value("nan", np.nan)),
    "infinity": (NOT_FINITE, lambda b: b.with_value("inf", np.inf)),
    "voxels of 0.01 mm": (SPACING, lambda b: b.scaled("tiny", (0.004, 0.004, 0.004))),
    "slices of 40 mm": (SPACING, lambda b: b.scaled("thick", (1.0, 1.0, 8.0))),
    "singular affine": (SPACING, lambda b: b.header("flat-affine", set_field("srow_z", [0.0, 0, 0, 0]))),
    "NaN in the affine": (SPACING, lambda b: b.header("nan-affine", set_field("srow_x", [np.nan, 0, 0, 0]))),
    "metres that are millimetres": (SPACING, lambda b: b.header("metres", unit("meter"))),
    "micrometres that are millimetres": (SPACING, lambda b: b.header("micro", unit("micron"))),
    "shear beyond any gantry": (
        SPACING, lambda b: b.image("shear", b.scan.data_xyz, leaning(b.scan.affine_ras, 40))),
    "HU with their offset": (MODALITY, lambda b: b.image("offset", np.maximum(b.scan.data_xyz + 1024, 0))),
    "an MR called CT": (MODALITY, lambda b: b.image("mr", np.abs(b.scan.data_xyz) * 40 + 300)),
    "no sform and no qform": (HEADER, lambda b: b.header("nowhere", no_place)),
    "mirrored qform": (HEADER, lambda b: b.header("mirrored", mirrored_qform)),
    "another voxel size in qform": (HEADER, lambda b: b.header("sizes", other_size_in_qform)),
}  # fmt: skip


@pytest.fixture(scope="module")
def breaker(scanner, tmp_path_factory) -> Breaker:
    return Breaker(tmp_path_factory.mktemp("broken"), scanner.acquire("ncct"))


def test_a_cohort_sets_every_broken_file_aside_with_its_code_and_goes_on(breaker, tmp_path):
    cases = [CaseFiles(name, {"ncct": make(breaker)}) for name, (_, make) in BROKEN.items()]
    cases.insert(len(cases) // 2, CaseFiles("healthy", {"ncct": breaker.healthy}))
    out = tmp_path / "out"
    report = preprocess_cohort(cases, recipe_named("mnt-dl-ct-small"), out, jobs=1, progress=None)
    assert report.quarantined == {name: code for name, (code, _) in BROKEN.items()}
    assert report.done == 1
    assert all(entry.message for entry in load_quarantine(out).cases.values())
    assert not (out / "logs").exists(), "a traceback: an error without a code of its own"


def test_a_sheared_mr_is_refused(scanner, tmp_path):
    scan = scanner.acquire("dwi")
    write_volume(Volume(scan.data_xyz, leaning(scan.affine_ras, 12)), tmp_path / "a.nii.gz")
    cases = [CaseFiles("a", {"dwi": tmp_path / "a.nii.gz"})]
    report = preprocess_cohort(cases, recipe_named("mnt-dl-mr-small"), tmp_path / "out", jobs=1, progress=None)
    assert report.quarantined == {"a": SPACING}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_is_unreadable(breaker, tmp_path):
    path = copy_named(breaker, "secret.nii.gz")
    path.chmod(0)
    cases = [CaseFiles("a", {"ncct": path})]
    report = preprocess_cohort(cases, recipe_named("mnt-dl-ct-small"), tmp_path, jobs=1, progress=None)
    assert report.quarantined == {"a": UNREADABLE}


@pytest.mark.parametrize(("name", "size_in_mm"), [("meter", 1000.0), ("micron", 0.001)])
def test_lengths_in_another_unit_become_millimetres(breaker, name, size_in_mm):
    def change(header: nibabel.Nifti1Header) -> None:
        affine = header.get_sform()
        affine[:3] /= size_in_mm
        header.set_sform(affine, code=1)
        header.set_qform(affine, code=1)
        header.set_xyzt_units(name)

    read = read_volume(breaker.header(f"in-{name}", change))
    np.testing.assert_allclose(read.affine_ras, breaker.scan.affine_ras, rtol=1e-4, atol=1e-3)


def test_a_qform_that_is_shifted_or_cannot_hold_the_shear_is_no_fault(breaker):
    sheared = leaning(breaker.scan.affine_ras, 20)
    write_volume(Volume(breaker.scan.data_xyz, sheared), breaker.folder / "tilted.nii.gz")
    np.testing.assert_allclose(read_volume(breaker.folder / "tilted.nii.gz").affine_ras, sheared, atol=1e-4)
    moved = breaker.header("moved", set_field("qoffset_x", 40.0))
    np.testing.assert_allclose(read_volume(moved).affine_ras, breaker.scan.affine_ras, atol=1e-4)


@pytest.mark.parametrize(("dtype", "slope", "offset"), [(np.int16, 1.0, -1024.0), (np.uint16, 0.5, -1024.0)])
def test_stored_integers_are_scaled(tmp_path, dtype, slope, offset):
    stored = np.random.default_rng(0).integers(0, 4000, (6, 7, 8)).astype(dtype)
    image = nibabel.Nifti1Image(stored, np.eye(4))
    image.header.set_slope_inter(slope, offset)
    image.header.set_data_dtype(dtype)
    path = tmp_path / "a.nii"
    content = bytearray(image.to_bytes())
    header = nibabel.Nifti1Header(bytes(content[:348]))
    header["scl_slope"], header["scl_inter"] = slope, offset
    path.write_bytes(header.binaryblock + bytes(4) + np.asfortranarray(stored).tobytes(order="F"))
    read = read_volume(path)
    assert read.data_xyz.dtype == np.float32
    np.testing.assert_allclose(read.data_xyz, stored * slope + offset)
