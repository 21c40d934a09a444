"""A program of its own, since Ray leaves children behind: writes the address of the Ray that a task works on.

python where_tasks_run.py FILE [ADDRESS]
"""

import sys
from pathlib import Path

from fpe_sim.ray_tasks import run_tasks
from fpe_sim.run_context import RunContext


def tell_where(path: Path) -> None:
    """The task."""
    import ray

    path.write_text(ray.get_runtime_context().gcs_address)


def _main(file: str, address: str | None = None) -> None:
    path = Path(file)
    context = RunContext(path.parent, jobs=2, ray_address=address)
    run_tasks(tell_where, [(path,)], context=context, progress=lambda *_: None)


if __name__ == "__main__":
    _main(*sys.argv[1:])
