"""Runs functions side by side on Ray: the one place that starts it for anything but a federation."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayTaskError

from fpe_core.errors import FpeError
from fpe_sim.flower import quiet_environment
from fpe_sim.ray_cluster import ray_options
from fpe_sim.run_context import RunContext

Progress = Callable[[int, int], None]


def run_tasks(
    function: Callable[..., None], tasks: Sequence[tuple[Any, ...]], *, context: RunContext, progress: Progress
) -> None:
    """Call `function(*task)` for each task, `context.jobs` at a time, each on one CPU thread and its share of a GPU.

    Args:
        function: leaves its result on disk; a module's own, so that another process finds it.
        tasks: arguments of each call.
        context: the machine.
        progress: told about every finished task.

    Raises:
        FpeError: what a task raised; the others are stopped.
    """
    if not tasks:
        return
    with _ray(context):
        remote = ray.remote(num_cpus=1, num_gpus=context.gpus_per_training, max_retries=1)(_on_one_thread)
        waiting = [remote.remote(function, task) for task in tasks]
        while waiting:
            done, waiting = ray.wait(waiting, num_returns=1)
            try:
                ray.get(done)
            except RayTaskError as error:
                raise (error.cause if isinstance(error.cause, FpeError) else error) from None
            progress(len(tasks) - len(waiting), len(tasks))


@contextmanager
def _ray(context: RunContext) -> Iterator[None]:
    os.environ.update(quiet_environment(context.folder / "flwr"))
    options = ray_options(context.ray_address, num_cpus=context.jobs)
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    try:
        yield
    finally:
        ray.shutdown()


def _on_one_thread(function: Callable[..., None], task: tuple[Any, ...]) -> None:
    import torch

    torch.set_num_threads(1)
    function(*task)
