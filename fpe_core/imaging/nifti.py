"""NIfTI files in and out (nibabel)."""

import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError

from fpe_core.errors import CaseFileMissing, CaseFileUnreadable, CaseNotVolume
from fpe_core.imaging.volume import Volume

nib: Any = nibabel
"""nibabel's own type information is partial."""


def read_volume(path: Path) -> Volume:
    """Read one image; a fourth axis of length one is dropped.

    Raises:
        CaseFileMissing: there is no such file.
        CaseFileUnreadable: truncated, damaged, or not a NIfTI image.
        CaseNotVolume: the image has not exactly three axes.
    """
    if not path.is_file():
        raise CaseFileMissing(f"{path}: no such file")
    try:
        image = nib.load(path)
        shape = tuple(int(n) for n in image.shape)
        if len(shape) < 3 or any(n > 1 for n in shape[3:]):
            raise CaseNotVolume(f"{path}: one volume with three axes is expected, got shape {shape}")
        data = np.asanyarray(image.dataobj).astype(np.float32, copy=False).reshape(shape[:3])
        affine = np.asarray(image.affine, dtype=np.float64)
    except (ImageFileError, OSError, EOFError, zlib.error, ValueError, AttributeError) as error:
        raise CaseFileUnreadable(f"{path}: not a readable NIfTI image ({type(error).__name__})") from error
    return Volume(np.ascontiguousarray(data), affine)


def write_volume(volume: Volume, path: Path) -> None:
    """Write as NIfTI-1, float32; the affine goes in as sform and qform (code 1, scanner)."""
    image = nib.Nifti1Image(volume.data_xyz, volume.affine_ras)
    image.header.set_xyzt_units("mm")
    image.set_sform(volume.affine_ras, code=1)
    image.set_qform(volume.affine_ras, code=1)
    nib.save(image, path)
