"""What the images of a phantom cohort allow at best."""

from collections.abc import Mapping, Sequence

from fpe_core.config.study import Task
from fpe_sim.cohorts.ready import ReadyCohort
from fpe_sim.external_validation.pairs import HospitalName

Reachable = Mapping[tuple[HospitalName, Task], float]
"""Best AUC that images allow at a hospital, by outcome."""


def reachable_from_images(
    cohorts: Mapping[HospitalName, ReadyCohort], labels: Sequence[Task]
) -> dict[tuple[HospitalName, Task], float]:
    """The best AUC that any model of the images can reach, where a phantom cohort states it; nothing for real ones."""
    return {
        (hospital, label): cohort.reachable_auc_by_task[label]["images"]
        for hospital, cohort in cohorts.items()
        for label in labels
        if label in cohort.reachable_auc_by_task
    }
