"""`truth.json` of a paper cohort: what only the generator knows."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from fpe_core.config.study import Task
from fpe_core.data.phantoms.joint import TASKS, draw_joint_latents, reachable_by_task
from fpe_core.seeds import derive_seed
from fpe_sim.cohorts.draw import Patient
from fpe_sim.cohorts.flows import FLOWS, PaperCohort
from fpe_sim.cohorts.populations import Population

NUM_SIMULATED: Final = 60_000
MAIN_TASK: Final[Mapping[PaperCohort, Task]] = {
    "ucla-mr": "fpe", "ucla-ct": "fpe", "ucla-scanet": "recanalization", "vdh": "rlvo",
}  # fmt: skip
"""The outcome that the paper predicts in each labelled cohort."""
STATEMENT: Final = (
    f"Bayes-optimal ROC-AUC by simulation of {NUM_SIMULATED} patients of the (development) population: the score is "
    "the expected log odds given the latents that the source shows, free of measurement noise. It bounds every model "
    "from above. Age also shows in the images, through atrophy, and is counted for the table only."
)


def reachable(population: Population) -> dict[Task, dict[str, float]]:
    """Best AUC by task and by what is seen: images, table, both; `all_latents` also sees what nothing shows."""
    shares = population.shares
    latents = draw_joint_latents(
        NUM_SIMULATED,
        atrial_fibrillation=shares["atrial_fibrillation"],
        dyslipidaemia=shares["dyslipidaemia"],
        rng=np.random.default_rng(derive_seed(0, "reachable")),
    )
    return reachable_by_task(latents, population.links, population.modality)


def truth_of(cohort: PaperCohort, patients: Sequence[Patient], *, seed: int) -> dict[str, Any]:
    """Links, reachable AUC, groups, and latents and labels of every patient, for JSON."""
    populations = [part.population for part in FLOWS[cohort].parts]
    labelled = cohort in MAIN_TASK
    by_task = reachable(populations[0]) if labelled else {}
    return {
        "synthetic": True,
        "cohort": cohort,
        "seed": seed,
        "links": {
            task: {
                "form": "log odds = intercept + sum of coefficient * latent",
                "intercepts": [population.links[task].intercept for population in populations],
                "coefficients": dict(populations[0].links[task].coefficients),
            }
            for task in TASKS
            if labelled
        },
        "reachable_auc": by_task[MAIN_TASK[cohort]] if labelled else {},
        "reachable_auc_by_task": by_task,
        "reachable_auc_means": STATEMENT,
        "groups": {patient.case_id: patient.group for patient in patients if patient.group is not None},
        "cases": [
            {
                "case_id": patient.case_id,
                "labels": dict(patient.labels),
                "exclusion": patient.exclusion,
                "latents": {name: round(value, 6) for name, value in patient.latents.items()},
            }
            for patient in patients
        ],
    }
