"""The ServerApp: Flower starts it for a run, and it hands the run to the study runner."""

import os
import traceback
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fpe_core.config import load_study
from fpe_core.errors import ConfigValueInvalid
from fpe_server.exchange import GridExchange
from fpe_server.federation import FOLDER_VARIABLE, is_inside
from fpe_server.locks import exclusive

RUN_LOCK = "lock"
"""File in the run folder that is locked while a ServerApp works on it."""
ERROR_LOG = "error.log"
"""File in the run folder with the traceback of the error that ended the last ServerApp."""
PREDECESSOR_WAIT_S = 60.0

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the study whose folder the run config names.

    Raises:
        FpeError: the folder is not one of this federation, the plan is not valid, or the study failed.
    """
    run_folder = checked_run_folder(str(context.run_config["run-folder"]), os.environ.get(FOLDER_VARIABLE, ""))
    # The study runner brings torch, which nothing before it needs.
    from fpe_server.store import RunFolder
    from fpe_server.study import run_study

    # The previous ServerApp of this study may be on its way out still; two writers would spoil the checkpoints.
    with exclusive(run_folder / RUN_LOCK, wait_s=PREDECESSOR_WAIT_S):
        plan = load_study(run_folder / "study.yaml")
        try:
            run_study(plan, GridExchange(grid), RunFolder(run_folder))
        except Exception:  # the process boundary: Flower keeps one line of it at most
            (run_folder / ERROR_LOG).write_text(traceback.format_exc())
            raise


def checked_run_folder(run_folder: str, federation: str) -> Path:
    """The run folder, if it is one of the federation's.

    Args:
        run_folder: what the run config says.
        federation: the federation folder, as the server was started with.

    Raises:
        ConfigValueInvalid: it lies anywhere else, or does not exist.
    """
    path = Path(run_folder)
    if not federation or not is_inside(path, Path(federation) / "runs") or not path.is_dir():
        raise ConfigValueInvalid("run-folder should be a folder inside the federation's runs")
    return path
