"""What a running client says about itself, read from its folder."""

import json
import os
from pathlib import Path
from typing import Any

from fpe_client.paths import SitePaths
from fpe_core.config.loader import load_site


def read_status(site_file: Path) -> dict[str, Any]:
    """The supervisor's last word; its state is `stopped` when no process stands behind it any more.

    Raises:
        ConfigError: the site file cannot be read.
    """
    config = load_site(site_file)
    try:
        status: dict[str, Any] = json.loads(SitePaths(config.state_dir).status.read_text())
    except (OSError, ValueError):
        return {"site": config.site, "state": "stopped"}
    if not _alive(status.get("pid")):
        status["state"] = "stopped"
    return status


def describe(status: dict[str, Any]) -> str:
    """One line for people."""
    if status["state"] == "stopped":
        return f"{status['site']}: stopped"
    connected = "connected" if status["supernode"]["connected"] else "not connected"
    work = status.get("work")
    busy = f", {work['kind']} {work['step']['done']}/{work['step']['total']}" if work and work["active"] else ""
    return f"{status['site']}: running, {connected}, trainer {status['trainer']['health']}{busy}"


def _alive(pid: object) -> bool:
    try:
        os.kill(int(str(pid)), 0)
    except (OSError, ValueError):
        return False
    return True
