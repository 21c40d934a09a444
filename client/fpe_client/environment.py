"""The environment of the SuperNode and of everything that it starts. It must stand before Flower is imported."""

import os
import sys
from pathlib import Path

SITE_FILE_VARIABLE = "FPE_SITE_CONFIG"
"""Tells the gate, which Flower starts without arguments, where its site file is."""


def flower_environment(home: Path, site_file: Path) -> dict[str, str]:
    """No telemetry, no update check, a Flower home of its own, and the commands of this very installation."""
    return {
        SITE_FILE_VARIABLE: str(site_file.resolve()),
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.1",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    }
