"""File locks that end with their process, however it ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LockHeld(Exception):
    """Another process holds the lock."""


@contextmanager
def exclusive(path: Path, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock on `path` and write this process's id into it.

    The kernel frees the lock when the process is gone, so that nothing stale is left after kill -9.

    Raises:
        LockHeld: another process held it for all of `wait_s` seconds.
    """
    with path.open("a+") as file:
        end = time.monotonic() + wait_s
        while not _try_lock(file.fileno(), fcntl.LOCK_EX):
            if time.monotonic() >= end:
                raise LockHeld(str(path))
            time.sleep(0.1)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def holder(path: Path) -> int | None:
    """Process id of whoever holds the lock, or None when it is free."""
    try:
        with path.open("r+") as file:
            # Shared, so that two who look do not take each other for the holder.
            if _try_lock(file.fileno(), fcntl.LOCK_SH):
                return None
            text = file.read().strip()
    except FileNotFoundError:
        return None
    return int(text) if text.isdigit() else 0


def _try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
