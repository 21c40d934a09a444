"""The kinds of protocol, each with its model, its estimate and its run."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fpe_sim.protocol import KindName, ProtocolBase
from fpe_sim.protocol_results import ProtocolResults
from fpe_sim.run_context import RunContext


@dataclass(frozen=True)
class Estimate:
    """What a run would take.

    Attributes:
        cohorts: cases by cohort, those that are left out included.
        num_trainings: networks that are trained, one for each fold.
        seconds: wall time with the given jobs and device; a rough guess from rates measured once.
        disk_bytes: scans, preprocessed volumes and weights.
    """

    cohorts: dict[str, int]
    num_trainings: int
    seconds: float
    disk_bytes: int


@dataclass(frozen=True)
class Kind:
    """What `fpe-sim run` needs of a kind.

    Attributes:
        protocol: model of its YAML files.
        estimate: what a run would take; makes nothing.
        run: runs it, or goes on where it stopped. Figures are written to `context.figures`; the caller writes the rest.
    """

    protocol: type[ProtocolBase]
    estimate: Callable[[Any, RunContext], Estimate]
    run: Callable[[Any, RunContext], ProtocolResults]


def kind_named(name: KindName) -> Kind:
    """The kind; its heavy imports come with it."""
    kind: Kind = importlib.import_module(f"fpe_sim.{name.replace('-', '_')}").KIND
    return kind
