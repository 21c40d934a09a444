"""What every kind of protocol says of its run in the same words."""

from typing import Literal, TypedDict

from fpe_core.training.device import choose_device
from fpe_sim.protocol import ProtocolBase
from fpe_sim.run_context import RunContext
from fpe_sim.stages import stage_seconds


class RunFacts(TypedDict):
    """Fields of `ProtocolResults` that follow from protocol and machine alone."""

    protocol: str
    kind: str
    scale: float
    images: Literal["small", "full"]
    seed: int
    device: str
    seconds: dict[str, float]


def run_facts(protocol: ProtocolBase, context: RunContext) -> RunFacts:
    """To be called when the stages are over, since it reads their times."""
    return RunFacts(
        protocol=protocol.name,
        kind=protocol.kind,
        scale=protocol.dials.scale,
        images=protocol.dials.images,
        seed=protocol.seed,
        device=str(choose_device(context.device)),
        seconds=stage_seconds(context.folder),
    )
