"""What a run would take, from rates that were measured once."""

from fpe_core.config.loader import load_site
from fpe_core.config.study import ModelPlan
from fpe_core.data.case_table import read_site_table
from fpe_sim.cohorts.paper import num_cases
from fpe_sim.kinds import Estimate
from fpe_sim.rates import (
    phantom_bytes,
    phantom_seconds,
    preprocessed_bytes,
    preprocessing_seconds,
    training_seconds,
    weights_bytes,
)
from fpe_sim.run_context import RunContext
from fpe_sim.ucla_scanet.networks import NETWORKS
from fpe_sim.ucla_scanet.paper import ELIGIBLE, INCLUDED
from fpe_sim.ucla_scanet.protocol import UclaScanet


def estimate(protocol: UclaScanet, context: RunContext) -> Estimate:
    """Cases, trainings, time and disk of a run; makes nothing.

    Raises:
        ConfigError: `site` is no site file.
        CaseTableInvalid: the site's table cannot be read.
    """
    phantoms = protocol.site is None
    eligible = num_cases("ucla-scanet", protocol.dials.scale) if phantoms else _rows(protocol)
    setting, folds = protocol.setting, protocol.cross_validation
    num_trainings = len(NETWORKS) * folds.folds
    seconds = preprocessing_seconds(setting.recipe, eligible, context.jobs)
    seconds += phantom_seconds("ct", eligible, context.jobs) if phantoms else 0.0
    # Both networks as SCANet: ResNet34 has the same convolutions, and they are nearly all of the work.
    network = ModelPlan(name="scanet", sequences=("ncct", "cta"), base_width=setting.base_width)
    included = eligible * INCLUDED / ELIGIBLE
    trained = included * (folds.folds - 1) * (folds.inner_folds - 1) / folds.inner_folds
    seconds += training_seconds(
        network,
        setting.recipe,
        cases=round(trained * len(NETWORKS)),
        epochs=setting.training.local_epochs,
        jobs=min(context.jobs, num_trainings),
        device=context.device,
    )
    disk = preprocessed_bytes(setting.recipe, eligible) + weights_bytes(network, setting.recipe, num_trainings)
    disk += phantom_bytes("ct", eligible) if phantoms else 0
    return Estimate(cohorts={"ucla-scanet": eligible}, num_trainings=num_trainings, seconds=seconds, disk_bytes=disk)


def _rows(protocol: UclaScanet) -> int:
    return len(read_site_table(load_site(protocol.site).data).rows) if protocol.site else 0
