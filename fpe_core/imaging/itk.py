"""SimpleITK on one thread.

ITK reads its variable once, when it is loaded; ANTs brings an ITK of its own that reads the same one. One thread gives
the same bytes every time, and lets a cohort's `jobs` mean processes. SimpleITK's type information covers half of its
functions, so that it is used here as untyped.
"""

import os

os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"

from typing import Any

import SimpleITK

sitk: Any = SimpleITK

__all__ = ["sitk"]
