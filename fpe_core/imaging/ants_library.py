"""ANTs (antspyx) on one thread, see `fpe_core.imaging.itk`: loaded after it."""

import importlib
from typing import Any

import fpe_core.imaging.itk  # noqa: F401 (sets the variable that ITK reads)

ants: Any = importlib.import_module("ants")
