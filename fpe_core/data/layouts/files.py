"""Files of a layout: names in the BIDS manner, and images looked at from the outside."""

import zlib
from pathlib import Path
from typing import Any, Final

import nibabel
from nibabel.filebasedimages import ImageFileError

from fpe_core.errors import CaseFileMissing, CaseFileUnreadable, CaseNotVolume

nib: Any = nibabel
"""nibabel's own type information is partial."""
IMAGE_SUFFIXES: Final = (".nii.gz", ".nii")


def stem_of(path: Path) -> str:
    """A file's name without the ending of an image."""
    name = path.name
    return next((name.removesuffix(end) for end in IMAGE_SUFFIXES if name.endswith(end)), path.stem)


def suffix_of(path: Path) -> str:
    """The last part of a BIDS name, in lower case: dwi in sub-01_run-2_dwi.nii.gz."""
    return stem_of(path).rsplit("_", 1)[-1].lower()


def entities_of(path: Path) -> dict[str, str]:
    """The named parts of a BIDS name: {sub: 01, run: 2}."""
    parts = (part.split("-", 1) for part in stem_of(path).split("_") if "-" in part)
    return {name.lower(): value for name, value in parts}


def images_in(folder: Path) -> list[Path]:
    """Image files of one folder, by name; links to files that are not here too."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name.endswith(IMAGE_SUFFIXES))


def image_shape(path: Path) -> tuple[int, ...]:
    """Shape from an image's header; axes of length one at the end are dropped.

    Raises:
        CaseFileMissing: a link to a file that is not here, or nothing at all.
        CaseFileUnreadable: not a NIfTI image.
        CaseNotVolume: fewer than three axes.
    """
    if not path.is_file():
        raise CaseFileMissing(f"{path}: not a file that is here", hint="fetch it, where the data set holds links only")
    try:
        shape = tuple(int(size) for size in nib.load(path).shape)
    except (ImageFileError, OSError, EOFError, zlib.error, ValueError, AttributeError) as error:
        raise CaseFileUnreadable(f"{path}: not a readable NIfTI image ({type(error).__name__})") from None
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) < 3:
        raise CaseNotVolume(f"{path}: a volume with three axes is expected, got shape {shape}")
    return shape


def check_volume_file(path: Path) -> None:
    """Refuse what is not one three-dimensional image.

    Raises:
        CaseError: as `image_shape`, or the image has more axes.
    """
    if len(shape := image_shape(path)) != 3:
        raise CaseNotVolume(f"{path}: one volume with three axes is expected, got shape {shape}")
