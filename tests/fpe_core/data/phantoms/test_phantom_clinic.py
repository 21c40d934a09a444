from typing import get_args

import numpy as np
import pytest

from fpe_core.config.study import Task
from fpe_core.data.case_table import CaseRow
from fpe_core.data.labels import label_of
from fpe_core.data.phantoms.clinic import clinical_cells, outcome_cells
from fpe_core.data.phantoms.latents import draw_latents
from fpe_core.data.phantoms.spec import CaseMix, Modality


def row(cells: dict[str, str | int | float]) -> CaseRow:
    filled = {name: str(value) for name, value in cells.items() if value != ""}
    return CaseRow.model_validate({"case_id": "c", "patient_id": "p", "images": {}, **filled})


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("modality", get_args(Modality))
@pytest.mark.parametrize("task", get_args(Task))
def test_label_definition_recovers_every_label(task: Task, modality: Modality, label: int) -> None:
    rng = np.random.default_rng(3)
    assert {label_of(task, row(outcome_cells(label, task, modality, rng))) for _ in range(200)} == {label}


def test_first_pass_outcomes_have_the_papers_shares() -> None:
    rng = np.random.default_rng(4)
    negative = [outcome_cells(0, "fpe", "mr", rng) for _ in range(4000)]
    unsuccessful = np.mean([cells["final_mtici"] in {"0", "1", "2a"} for cells in negative])
    assert unsuccessful == pytest.approx(28 / 85, abs=0.025)
    order = ["0", "1", "2a", "2b", "2c", "3"]
    assert all(
        order.index(str(cells["mtici_after_first_pass"])) <= order.index(str(cells["final_mtici"]))
        for cells in negative
    )


@pytest.mark.parametrize(
    ("task", "modality", "quartiles", "thrombolysis"),
    [("fpe", "mr", (8, 15, 19), 0.230), ("fpe", "ct", (11, 16, 21), 0.339), ("rlvo", "ct", (9, 15, 20), 0.372)],
)
def test_clinical_columns_follow_the_papers(
    task: Task, modality: Modality, quartiles: tuple[int, ...], thrombolysis: float
) -> None:
    rng = np.random.default_rng(5)
    latents = draw_latents(4000, CaseMix(), task, rng)
    cells = [clinical_cells(one, task, modality, CaseMix(), rng) for one in latents]
    assert np.percentile([cell["nihss"] for cell in cells], [25, 50, 75]) == pytest.approx(quartiles, abs=1)
    assert np.mean([cell["iv_thrombolysis"] for cell in cells]) == pytest.approx(thrombolysis, abs=0.025)
    assert np.mean([float(cell["age_years"]) for cell in cells]) == pytest.approx(70.7, abs=1.0)
    for one in cells:
        row(one)
        assert float(one["tmax_over_10_s_ml"]) <= float(one["tmax_over_6_s_ml"]) <= float(one["tmax_over_4_s_ml"])
