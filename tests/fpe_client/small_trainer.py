"""The trainer's server around work that a test chooses by the study's name.

Run as `python small_trainer.py SITE_FILE`.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fpe_client.no_network import grpc_environment, leave_network
from fpe_client.parent import die_with_parent

leave_network()
die_with_parent()
os.environ.update(grpc_environment())

from fpe_client.trainer_server import serve  # noqa: E402 - threads may start only after the network is gone
from fpe_core.config.loader import load_site  # noqa: E402
from fpe_core.errors import TrainingDiverged  # noqa: E402
from fpe_core.protocol import Evaluation, Reply, ReplyHeader, Request, TrainingSummary  # noqa: E402
from fpe_core.state import FlatState  # noqa: E402


def work(request: Request, progress: Callable[[str, int, int], None]) -> Reply:
    name = request.header.plan.name
    with Path("runs.txt").open("a") as runs:
        runs.write(name + "\n")
    progress("train", 1, 2)
    if name == "hang":
        time.sleep(600)
    if name == "die" or (name == "die-once" and Path("runs.txt").read_text().count(name) == 1):
        os._exit(9)
    if name == "slow":
        for _ in range(10):
            time.sleep(0.1)
            progress("train", 2, 2)
    if name == "fail":
        return Reply.failed(request.header, TrainingDiverged("case Mustermann"))
    return answer(request, leak=name == "leak")


def answer(request: Request, *, leak: bool) -> Reply:
    header = ReplyHeader(
        kind=request.header.kind,
        study_fingerprint=request.header.plan.fingerprint(),
        round_number=request.header.round_number,
        evaluation=Evaluation(
            split="train" if leak else "validation",
            num_cases=20,
            num_positive=10,
            loss=0.5,
            auc=0.5,
            positive_scores=(10, *[0] * 499),
            negative_scores=(10, *[0] * 499),
        ),
        training=TrainingSummary(num_cases=60, num_epochs=1, epoch_losses=(0.5,), training_s=0.1),
    )
    assert request.state is not None
    return Reply(header, FlatState(request.state.layout, 0.5 * request.state.values))


if __name__ == "__main__":
    site_file = Path(sys.argv[1])
    os.chdir(site_file.parent)
    serve(load_site(site_file), work)
