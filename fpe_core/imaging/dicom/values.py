"""Single values out of a data set: what is missing or damaged is None, so that one odd element costs no image."""

import math
from datetime import date
from typing import Any

from fpe_core.imaging.dicom.file import PYDICOM_ERRORS


def value(dataset: Any, key: int | str) -> Any:
    """The element's value by keyword or tag; None where it is missing, empty or cannot be decoded."""
    try:
        element = dataset.get(key)
        found = getattr(element, "value", element) if isinstance(key, int) else element
    except PYDICOM_ERRORS:
        return None
    return None if found is None or found == "" else found


def text(dataset: Any, key: int | str) -> str:
    """The element as text; several values are joined by a backslash, as in the file."""
    return "\\".join(texts(dataset, key))


def texts(dataset: Any, key: int | str) -> tuple[str, ...]:
    """Every value of the element as text."""
    found = value(dataset, key)
    if found is None:
        return ()
    parts = [found] if isinstance(found, str | bytes) or not hasattr(found, "__iter__") else list(found)
    decoded = (part.decode("latin-1") if isinstance(part, bytes) else str(part) for part in parts)
    return tuple(part.strip(" \0") for part in decoded)


def numbers(dataset: Any, key: int | str, count: int) -> tuple[float, ...] | None:
    """The element's `count` finite numbers; None where there are others, fewer or more."""
    try:
        found = tuple(float(part) for part in texts(dataset, key))
    except ValueError:
        return None
    return found if len(found) == count and all(map(math.isfinite, found)) else None


def number(dataset: Any, key: int | str) -> float | None:
    """The element's first value, if it is a finite number."""
    try:
        first = float(texts(dataset, key)[0])
    except (ValueError, IndexError):
        return None
    return first if math.isfinite(first) else None


def whole(dataset: Any, key: int | str) -> int | None:
    """The element's first value as a whole number."""
    found = number(dataset, key)
    return None if found is None else round(found)


def seconds(dataset: Any, key: int | str) -> float | None:
    """A time `HHMMSS.ffffff`, or the time in a `YYYYMMDDHHMMSS.ffffff`, in seconds since midnight."""
    digits = text(dataset, key).replace(":", "")
    clock = digits[8:] if len(digits.split(".")[0]) > 8 else digits
    try:
        hours, minutes, rest = int(clock[:2]), int(clock[2:4] or 0), clock[4:].split("+")[0].split("-")[0]
        return hours * 3600.0 + minutes * 60.0 + float(rest or 0)
    except ValueError:
        return None


def day(dataset: Any, key: int | str) -> date | None:
    """A date `YYYYMMDD`, also at the begin of a date and time."""
    digits = text(dataset, key).replace(".", "")[:8]
    try:
        return date.fromisoformat(f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}")
    except ValueError:
        return None
