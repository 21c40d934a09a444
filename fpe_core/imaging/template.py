"""The MNI152 template that nilearn ships inside its wheel: no download, and its hash is checked."""

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import ndimage

from fpe_core.config.recipe import TEMPLATE_SHA256
from fpe_core.errors import DataError
from fpe_core.imaging.content import file_sha256
from fpe_core.imaging.geometry import block_mean
from fpe_core.imaging.nifti import read_volume
from fpe_core.imaging.volume import Mask, Volume

BRAIN_THRESHOLD = 0.2
"""Share of the template's maximum above which a voxel is brain (nilearn's own value for its brain mask)."""


@dataclass(frozen=True, eq=False)
class Template:
    """The template at one voxel size.

    Attributes:
        t1: brain-only T1, values 0-1, in MNI RAS+ mm.
        brain_xyz: `(X, Y, Z)` bool, the brain, holes filled.
    """

    t1: Volume
    brain_xyz: Mask


@lru_cache(maxsize=4)
def load_template(spacing_mm: int) -> Template:
    """The template averaged to `spacing_mm` (whole mm, the file has 1 mm); decoded once per process.

    Raises:
        DataError: nilearn is missing or ships another template than the recipes were made for.
    """
    volume = _full_resolution()
    t1 = block_mean(volume, (spacing_mm, spacing_mm, spacing_mm))
    return Template(t1, ndimage.binary_fill_holes(t1.data_xyz > BRAIN_THRESHOLD))


@lru_cache(maxsize=1)
def _full_resolution() -> Volume:
    path = template_path()
    if file_sha256(path) != TEMPLATE_SHA256:
        raise DataError(
            "the MNI152 template is not the one the recipes were made for", hint="install the pinned nilearn"
        )
    volume = read_volume(path)
    return volume.with_data(volume.data_xyz / np.float32(volume.data_xyz.max()))


def template_path() -> Path:
    """Where nilearn keeps the file; nilearn itself is not imported, which would cost seconds."""
    spec = importlib.util.find_spec("nilearn")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("nilearn, which holds the MNI152 template, is not installed")
    folder = Path(next(iter(spec.submodule_search_locations))) / "datasets" / "data"
    return folder / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
