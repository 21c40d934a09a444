"""NIfTI files in and out (nibabel)."""

import gzip
import logging
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from fpe_core.errors import CaseFileMissing, CaseFileUnreadable, CaseHeaderIncomplete, CaseNotVolume
from fpe_core.imaging.volume import Mask, Matrix, Volume

nib: Any = nibabel
"""nibabel's own type information is partial."""
# It says what is wrong with a header on the terminal; our errors say it, with a code.
nib.imageglobals.logger.setLevel(logging.CRITICAL)
_UNREADABLE = (
    ImageFileError, HeaderDataError, OSError, EOFError, zlib.error, ValueError, KeyError, OverflowError, MemoryError,
)  # fmt: skip
"""What nibabel raises on a damaged file."""


_MM_PER_UNIT = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}
_MAX_VOXELS = 1 << 30
"""A whole body at 0.7 mm; a header that promises more is damaged."""
_SAME_SIZE = 0.05
_GZIP = b"\x1f\x8b"


def read_volume(path: Path) -> Volume:
    """Read one image; a fourth axis of length one is dropped, and a length given in metres or µm becomes mm.

    Raises:
        CaseFileMissing: there is no such file.
        CaseFileUnreadable: truncated, damaged, or not a NIfTI image.
        CaseNotVolume: the image has not exactly three axes, or not one real number per voxel.
        CaseHeaderIncomplete: the header does not say which way the axes run, or says it twice and differently.
    """
    if not path.exists():
        raise CaseFileMissing(f"{path}: no such file")
    _check_name(path)
    try:
        image = nib.load(path)
        if not isinstance(image, nib.Nifti1Pair):
            raise CaseFileUnreadable(f"{path}: not a NIfTI image ({type(image).__name__})")
        _check_content(image, path)
        _check_place(image, path)
        data = image.get_fdata(dtype=np.float32, caching="unchanged").reshape(image.shape[:3], order="F")
        affine = np.asarray(image.affine, dtype=np.float64)
        affine[:3] *= _MM_PER_UNIT[image.header.get_xyzt_units()[0]]
    except _UNREADABLE as error:
        raise CaseFileUnreadable(f"{path}: not a readable NIfTI image ({type(error).__name__})") from error
    return Volume(data, affine)


def read_shape(path: Path) -> tuple[int, ...]:
    """Voxels along each axis, from the header alone.

    Raises:
        CaseFileUnreadable: there is no such file, or it has no header.
    """
    try:
        return tuple(int(n) for n in nib.load(path).shape)
    except _UNREADABLE as error:
        raise CaseFileUnreadable(f"{path}: not a readable image ({type(error).__name__})") from error


def _check_name(path: Path) -> None:
    """nibabel goes by the name alone."""
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == _GZIP
    except OSError as error:
        raise CaseFileUnreadable(f"{path}: cannot be read ({type(error).__name__})") from error
    if compressed and path.suffix != ".gz":
        raise CaseFileUnreadable(f"{path}: the file is gzip-compressed", hint="name it .nii.gz")


def _check_content(image: Any, path: Path) -> None:
    """One real number per voxel, three axes, and no more voxels than a computer can hold."""
    shape, kind = tuple(int(n) for n in image.shape), image.get_data_dtype().kind
    if len(shape) < 3 or any(n != 1 for n in shape[3:]):
        raise CaseNotVolume(f"{path}: one volume with three axes is expected, got shape {shape}")
    if kind not in "iuf":
        raise CaseNotVolume(f"{path}: one real number per voxel is expected, got {image.get_data_dtype()}")
    if min(shape) < 1 or np.prod(shape, dtype=np.float64) > _MAX_VOXELS:
        raise CaseFileUnreadable(f"{path}: the header promises an image of {shape} voxels")


def _check_place(image: Any, path: Path) -> None:
    """The header must say where right is. Two answers may differ by a shift, a turn or a shear, and sform is taken.

    A turn below 45 degrees and a shift are what registration takes out. Another axis order, a mirrored one or another
    voxel size would go unseen to the network.
    """
    header = image.header
    sform, qform = (header.get_sform(coded=True)[0], header.get_qform(coded=True)[0])
    if sform is None and qform is None:
        raise CaseHeaderIncomplete(
            f"{path}: the header has neither sform nor qform, so that left and right are unknown",
            hint="convert the image again from DICOM",
        )
    if sform is None or qform is None:
        return
    if not all(np.isfinite(affine).all() and np.linalg.det(affine) for affine in (sform, qform)):
        return  # what spans no space has no axes to compare, and is refused as such later
    sizes = [np.linalg.norm(affine[:3, :3], axis=0) for affine in (sform, qform)]
    axes = [nib.orientations.aff2axcodes(affine) for affine in (sform, qform)]
    if axes[0] != axes[1] or np.abs(sizes[0] / sizes[1] - 1).max() > _SAME_SIZE:
        raise CaseHeaderIncomplete(
            f"{path}: sform and qform place the image differently ({_described(axes[0], sizes[0])} against "
            f"{_described(axes[1], sizes[1])})",
            hint="convert the image again from DICOM",
        )


def _described(axes: tuple[str, str, str], size_mm: Matrix) -> str:
    return f"{''.join(axes)}, {'×'.join(f'{size:.3g}' for size in size_mm)} mm"


def write_volume(volume: Volume, path: Path) -> None:
    """Write as NIfTI-1, float32; the affine goes in as sform and qform (code 1, scanner)."""
    image = nib.Nifti1Image(volume.data_xyz, volume.affine_ras)
    image.header.set_xyzt_units("mm")
    image.set_sform(volume.affine_ras, code=1)
    image.set_qform(volume.affine_ras, code=1)
    nib.save(image, path)


def mask_bytes(mask_xyz: Mask, affine_ras: Matrix, *, compressed: bool) -> bytes:
    """A mask as a NIfTI-1 file of uint8, 0 and 1; the same mask gives the same bytes."""
    image = nib.Nifti1Image(mask_xyz.astype(np.uint8), affine_ras)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine_ras, code=1)
    content: bytes = image.to_bytes()
    return gzip.compress(content, mtime=0) if compressed else content
