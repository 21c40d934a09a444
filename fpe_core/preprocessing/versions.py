"""Versions of the libraries that shape the voxels, for the provenance."""

import nibabel
import numpy as np
import scipy

from fpe_core.imaging.ants_library import ants
from fpe_core.imaging.itk import sitk


def library_versions() -> dict[str, str]:
    """Version per library."""
    return {
        "SimpleITK": str(sitk.Version_VersionString()),
        "antspyx": str(ants.__version__),
        "nibabel": str(nibabel.__version__),
        "numpy": np.__version__,
        "scipy": str(scipy.__version__),
    }
