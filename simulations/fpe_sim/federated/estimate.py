"""What a comparison would take, before anything is made."""

from fpe_core.config.loader import load_site
from fpe_core.config.study import StudyPlan
from fpe_core.data.case_table import read_site_table
from fpe_core.data.phantoms.spec import Modality
from fpe_sim.federated.draws import check_hospitals
from fpe_sim.federated.hospitals import phantom_sites
from fpe_sim.federated.protocol import FederatedProtocol
from fpe_sim.kinds import Estimate
from fpe_sim.rates import phantom_bytes, phantom_seconds, preprocessed_bytes, preprocessing_seconds, training_seconds
from fpe_sim.run_context import RunContext

_RAY_START_S = 20.0


def estimate(protocol: FederatedProtocol, context: RunContext) -> Estimate:
    """Cases, studies, seconds and bytes. Early stopping is not counted on.

    Raises:
        NotEnoughCases: a phantom hospital would lack cases of a class.
    """
    check_hospitals(protocol)
    cohorts: dict[str, int] = {}
    seconds, disk, num_trainings = 2 * _RAY_START_S, 0, 0
    real = bool(protocol.hospitals.site_files)
    for modality in protocol.group_modalities():
        sizes = _sizes(protocol, modality)
        cohorts |= {site: cases * (1 if real else protocol.num_seeds) for site, cases in sizes.items()}
        plan = protocol.plan(modality, 1, arm="federated", num_sites=len(sizes))
        made = sum(sizes.values()) * (1 if real else protocol.num_seeds)
        seconds += preprocessing_seconds(plan.recipe, made, context.jobs)
        disk += preprocessed_bytes(plan.recipe, made)
        if not real:
            seconds += phantom_seconds(modality, made, context.jobs)
            disk += phantom_bytes(modality, made)
        sites_trained = protocol.num_seeds * _sites_trained(protocol, len(sizes))
        mean_cases = sum(sizes.values()) / len(sizes)
        seconds += _training_seconds(plan, protocol.num_seeds * _passes(protocol, len(sizes)) * mean_cases, context)
        num_trainings += sites_trained
    return Estimate(cohorts=cohorts, num_trainings=num_trainings, seconds=seconds, disk_bytes=disk)


def _training_seconds(plan: StudyPlan, cases: float, context: RunContext) -> float:
    training = cases * (1 - plan.split.validation - plan.split.test)
    epochs = plan.federation.rounds * plan.training.local_epochs
    return training_seconds(plan.model, plan.recipe, round(training), epochs, context.jobs, context.device)


def _sites_trained(protocol: FederatedProtocol, num_sites: int) -> int:
    """Hospitals that train, summed over the arms of one seed; the pooled one is one."""
    without = min(protocol.left_out, num_sites) * (num_sites - 1)
    each = {"local": num_sites, "federated": num_sites, "pooled": 1, "leave-one-out": without}
    return sum(each[arm] for arm in protocol.arms)


def _passes(protocol: FederatedProtocol, num_sites: int) -> int:
    """The same in units of one hospital's cases."""
    return _sites_trained(protocol, num_sites) + (num_sites - 1 if "pooled" in protocol.arms else 0)


def _sizes(protocol: FederatedProtocol, modality: Modality) -> dict[str, int]:
    hospitals = protocol.hospitals
    if hospitals.site_files:
        configs = [load_site(path) for path in hospitals.site_files]
        return {config.site: len(read_site_table(config.data).rows) for config in configs}
    specs = phantom_sites(hospitals, protocol.study.task, protocol.dials.scale)
    return {spec.name: spec.num_cases for spec in specs if spec.modality == modality}
