"""Ties a process's life to its parent's, even when the parent is killed with SIGKILL; and buries the dead."""

import ctypes
import os
import signal
import time

PARENT_VARIABLE = "FPE_PARENT_PID"

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent goes, and go at once when it has gone already.

    The parent says who it is in the environment; what this process starts in turn has another parent, so the word is
    taken out.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    expected = os.environ.pop(PARENT_VARIABLE, None)
    if expected is not None and os.getppid() != int(expected):
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of whatever a dead child leaves behind. In a container nobody else may bury it."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def bury_group(group: int, *, patience_s: float) -> None:
    """Collect the dead of a process group that has been killed, for at most `patience_s`."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            pid, _ = os.waitpid(-group, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(0.01)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")
