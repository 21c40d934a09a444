"""Frees a SuperNode from a gate that hangs. Nothing but SIGKILL does."""

import os
import signal
import time
from pathlib import Path

from fpe_client.processes import session_members
from fpe_client.trainer_link import NUM_TRIES, start_timeout_s
from fpe_client.work_state import read_work

GATE_COMMAND = "flwr-clientapp"
MARGIN_S = 10.0


def gate_limit_s(overdue_after_s: float) -> float:
    """Longest time without progress that a healthy gate can show: waiting for the trainer twice, then for a step."""
    return overdue_after_s + NUM_TRIES * start_timeout_s(overdue_after_s) + MARGIN_S


def stop_hanging_gates(session: int, work_file: Path, *, limit_s: float) -> list[int]:
    """Kill every gate of a SuperNode's session that has shown no progress for `limit_s`.

    A gate that reports progress in `work_file` is as young as its last report; any other is as old as its process.

    Returns:
        Process ids of the gates that were killed.
    """
    work = read_work(work_file)
    stopped = []
    for pid, age_s in session_members(session, GATE_COMMAND):
        silent_s = time.time() - work_file.stat().st_mtime if work and work.pid == pid else age_s
        if min(age_s, silent_s) > limit_s:
            os.kill(pid, signal.SIGKILL)
            stopped.append(pid)
    return stopped
