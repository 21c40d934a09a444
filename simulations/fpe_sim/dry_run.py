"""What a run would take, for people and for machines."""

import math

from fpe_sim.kinds import Estimate
from fpe_sim.protocol import ProtocolBase
from fpe_sim.rates import rates
from fpe_sim.run_context import RunContext
from fpe_sim.spans import size, span


def estimate_text(estimate: Estimate, protocol: ProtocolBase, context: RunContext) -> str:
    """A few lines for people."""
    width = max([len("trainings"), *map(len, estimate.cohorts)])
    lines = [f"{name:<{width}}  {count} cases" for name, count in estimate.cohorts.items()]
    lines += [
        f"{'trainings':<{width}}  {estimate.num_trainings}",
        f"{'time':<{width}}  {_time(estimate, context)}",
        f"{'disk':<{width}}  about {size(estimate.disk_bytes)}",
        f"{protocol.name} at --scale {protocol.dials.scale:g} --images {protocol.dials.images}; nothing was written",
    ]
    return "\n".join(lines)


def _time(estimate: Estimate, context: RunContext) -> str:
    if math.isnan(estimate.seconds):
        return "not measured: there is no rate for a GPU, or for one of the networks or recipes"
    measured = rates().measured_on
    return (
        f"about {span(estimate.seconds)} with {context.jobs} {'job' if context.jobs == 1 else 'jobs'}, to a factor of "
        f"two or so (rates of one thread of {measured['device']}, {measured['load']})"
    )


def estimate_data(estimate: Estimate) -> dict[str, object]:
    """The same for machines; seconds are null where no rate was measured."""
    return {
        "cohorts": estimate.cohorts,
        "num_trainings": estimate.num_trainings,
        "seconds": None if math.isnan(estimate.seconds) else round(estimate.seconds, 1),
        "disk_bytes": estimate.disk_bytes,
    }
