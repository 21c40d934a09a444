"""Times and sizes as a person says them."""

import math

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400


def span(seconds: float) -> str:
    """For example 0.4 s, 35 s, 12 min, 3 h 20 min, 2 d 4 h; "not measured" for NaN."""
    if math.isnan(seconds):
        return "not measured"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * _MINUTE_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    if seconds < _DAY_S:
        return _two(round(seconds / _MINUTE_S), _HOUR_S // _MINUTE_S, "h", "min")
    return _two(round(seconds / _HOUR_S), _DAY_S // _HOUR_S, "d", "h")


def size(num_bytes: float) -> str:
    """For example 35 MB, 4.1 GB; powers of ten, as disks are sold."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 9.95e8 else f"{math.ceil(num_bytes / 1e6)} MB"


def _two(total: int, many: int, large: str, small: str) -> str:
    whole, rest = divmod(total, many)
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"
