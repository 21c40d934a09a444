"""Patients of phantom cohorts as rows, without pictures."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from fpe_core.data.case_row import CaseRow
from fpe_core.data.phantoms.clinic import Cell
from fpe_core.data.phantoms.joint import TASKS, draw_joint_latents, draw_outcomes
from fpe_core.data.phantoms.outcomes import Fate, outcome_columns
from fpe_sim.cohorts.columns import clinical_columns
from fpe_sim.cohorts.draw import Patient, draw_cohort
from fpe_sim.cohorts.flows import PaperCohort
from fpe_sim.cohorts.populations import Population


@lru_cache
def patients(name: PaperCohort, seed: int, scale: float = 1.0) -> tuple[Patient, ...]:
    return tuple(draw_cohort(name, seed=seed, scale=scale))


def rows_of(drawn: tuple[Patient, ...], *, group: str | None = None, included: bool = True) -> list[CaseRow]:
    return [
        row(patient.cells, patient.case_id)
        for patient in drawn
        if (patient.exclusion is None or not included) and group in (None, patient.group)
    ]


def row(cells: Mapping[str, Cell], case_id: str = "c") -> CaseRow:
    sequences = ("dwi", "adc", "flair") if "-mr" in case_id else ("ncct", "cta")
    return CaseRow.model_validate(
        {
            "case_id": case_id,
            "patient_id": case_id,
            "images": {name: Path(name) for name in sequences},
            **{name: str(value) for name, value in cells.items() if value != ""},
        }
    )


def population_rows(population: Population, num_cases: int, seed: int) -> list[CaseRow]:
    """Patients as they come, not as a cohort chooses them."""
    rng = np.random.default_rng(seed)
    shares = population.shares
    latents = draw_joint_latents(
        num_cases, atrial_fibrillation=shares["atrial_fibrillation"], dyslipidaemia=shares["dyslipidaemia"], rng=rng
    )
    labels = draw_outcomes(latents, population.links, rng)
    fails = rng.random(num_cases) < population.fails
    cells = clinical_columns(population, latents, rng)
    fates = [Fate.of(*(int(labels[task][at]) for task in TASKS), fails=bool(fails[at])) for at in range(num_cases)]
    return [row(cells[at] | outcome_columns(fates[at], population.grades, rng)) for at in range(num_cases)]
