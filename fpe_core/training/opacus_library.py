"""Opacus, imported without what its import does to the process' log."""

import logging

_root = logging.getLogger()
_before = list(_root.handlers)

# opacus.utils.module_utils calls logging.basicConfig, which would print every library's warnings in the midst of a
# program's own words.
from opacus.accountants import RDPAccountant  # noqa: E402 - the handlers are counted first
from opacus.accountants.utils import get_noise_multiplier  # noqa: E402 - as above
from opacus.optimizers import DPOptimizer  # noqa: E402 - as above
from opacus.validators import ModuleValidator  # noqa: E402 - as above
from opacus.validators.errors import UnsupportedModuleError  # noqa: E402 - as above

_root.handlers[:] = _before
# It names every order that it leaves out, at each call. Any order gives a valid ε: fewer only make it larger.
logging.getLogger("opacus.accountants.analysis.rdp").setLevel(logging.ERROR)

__all__ = ["DPOptimizer", "ModuleValidator", "RDPAccountant", "UnsupportedModuleError", "get_noise_multiplier"]
