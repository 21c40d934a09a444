"""A diffusion series in one file, with its b-values beside it, as one b0 and one b1000 volume."""

import gzip
from pathlib import Path
from typing import Any, Final

import nibabel
import numpy as np
from numpy.typing import NDArray

from fpe_core.data.layouts.files import image_shape
from fpe_core.errors import CaseFileUnreadable, CaseHeaderIncomplete, CaseNotVolume
from fpe_core.imaging.volume import Array
from fpe_core.preprocessing.processed import write_private

nib: Any = nibabel
"""nibabel's own type information is partial."""
_B0_BELOW: Final = 50.0
_B1000_RANGE: Final = (800.0, 1200.0)


def read_b_values(path: Path) -> tuple[float, ...]:
    """b in s/mm² of each volume, from a .bval file.

    Raises:
        CaseHeaderIncomplete: not there, or not numbers of 0 and more.
    """
    try:
        values = tuple(float(word) for word in path.read_text(encoding="utf-8").split())
    except (OSError, ValueError) as error:
        raise CaseHeaderIncomplete(f"{path}: b-values cannot be read ({type(error).__name__})") from None
    if not values or not all(0 <= value < 1e5 for value in values):
        raise CaseHeaderIncomplete(f"{path}: expected b-values in s/mm², got {len(values)} numbers")
    return values


def split_series(path: Path, b_values: tuple[float, ...], out: Path, stem: str) -> dict[str, Path]:
    """Write the series' b0 and b1000 as volumes of their own.

    b0 is the mean of the volumes with b ≤ 50 s/mm². b1000 is the geometric mean of those with b from 800 to 1200, over
    whatever directions there are: with three orthogonal ones that is the trace image, since its exponent is the mean
    of the directions' exponents.

    Args:
        path: NIfTI, `(X, Y, Z, N)`.
        b_values: N of them.
        out: folder for the volumes, as float32 with the series' own affine.
        stem: start of their names.

    Returns:
        Paths by column: b0, b1000, or one of them.

    Raises:
        CaseNotVolume: not N volumes, or none with a b-value that is needed.
        CaseFileUnreadable: truncated.
    """
    shape = image_shape(path)
    if len(shape) != 4 or shape[3] != len(b_values):
        raise CaseNotVolume(f"{path}: {len(b_values)} b-values are for another number of volumes, got shape {shape}")
    b = np.array(b_values)
    groups = {"b0": b <= _B0_BELOW, "b1000": (b >= _B1000_RANGE[0]) & (b <= _B1000_RANGE[1])}
    chosen = {name: np.flatnonzero(which) for name, which in groups.items() if which.any()}
    if not chosen:
        raise CaseNotVolume(f"{path}: no volume has b = 0 or b = 1000 s/mm²")
    image = nib.load(path)
    paths = {}
    for name, indices in chosen.items():
        volumes = _volumes(path, image, indices)
        paths[name] = out / f"{stem}_{name}.nii.gz"
        mean = volumes.mean(axis=3) if name == "b0" else _geometric_mean(volumes)
        write_private(paths[name], _nifti(mean, image))
    return paths


def _volumes(path: Path, image: Any, indices: NDArray[np.intp]) -> Array:
    """`(X, Y, Z, n)` float32; the file is read once for each group."""
    try:
        data = np.asarray(image.dataobj, dtype=np.float32)
    except (OSError, EOFError, ValueError) as error:
        raise CaseFileUnreadable(f"{path}: cut off or damaged ({type(error).__name__})") from None
    return data.reshape(data.shape[:4])[..., indices]


def _geometric_mean(volumes: Array) -> Array:
    """Over the last axis; 0 where any value is 0 or less."""
    signal = np.asarray((volumes > 0).all(axis=3))
    logs = np.log(np.where(signal[..., None], volumes, 1), dtype=np.float64)
    return np.where(signal, np.exp(logs.mean(axis=3)), 0).astype(np.float32)


def _nifti(data: Array, like: Any) -> bytes:
    """A volume where `like` lies; the same voxels give the same bytes."""
    image = nib.Nifti1Image(np.asarray(data, dtype=np.float32), like.affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(like.affine, 1)
    return gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)
