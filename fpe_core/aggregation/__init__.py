"""Pure functions on updates: NumPy only, no clock, no file, no socket."""

from fpe_core.aggregation.checks import check_update
from fpe_core.aggregation.weighted import SiteUpdate, weighted_average

__all__ = ["SiteUpdate", "check_update", "weighted_average"]
