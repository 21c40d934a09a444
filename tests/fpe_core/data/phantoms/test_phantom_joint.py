from itertools import product
from typing import Final

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from fpe_core.config.study import Task
from fpe_core.data.case_table import CaseRow
from fpe_core.data.labels import label_of
from fpe_core.data.phantoms.joint import (
    IMAGED,
    TABULATED,
    TASKS,
    OutcomeLink,
    draw_joint_latents,
    draw_outcomes,
    reachable_by_task,
)
from fpe_core.data.phantoms.outcomes import Fate, outcome_columns

GRADES: Final = {
    "failed": {"0": 9, "1": 2, "2a": 20},
    "later": {"2b": 37, "2c": 20, "3": 19},
    "first": {"2b": 31, "2c": 21, "3": 21},
}
LINKS: Final[dict[Task, OutcomeLink]] = {
    "fpe": OutcomeLink(-0.9, {"clot_length": -1.6, "collaterals": 1.2, "access": 0.8}),
    "recanalization": OutcomeLink(0.0, {"clot_length": -0.9, "nihss": -0.3}),
    "rlvo": OutcomeLink(-1.4, {"stenosis": 0.7, "atrial_fibrillation": -1.0, "slow_share": 0.4}),
}


def drawn(num_cases: int, seed: int) -> tuple[dict[str, np.ndarray], dict[Task, np.ndarray]]:
    rng = np.random.default_rng(seed)
    latents = draw_joint_latents(num_cases, atrial_fibrillation=0.35, dyslipidaemia=0.4, rng=rng)
    return latents, draw_outcomes(latents, LINKS, rng)


@pytest.mark.parametrize("task", TASKS)
def test_each_outcome_follows_its_own_link(task: Task) -> None:
    latents, outcomes = drawn(60_000, 1)
    names = list(LINKS[task].coefficients)
    seen = np.stack([latents[name] for name in names], axis=1)
    fitted = LogisticRegression(C=1e6).fit(seen, outcomes[task])
    assert fitted.coef_[0] == pytest.approx([LINKS[task].coefficients[name] for name in names], abs=0.06)
    assert fitted.intercept_[0] == pytest.approx(LINKS[task].intercept, abs=0.06)


def test_outcomes_of_one_patient_belong_together() -> None:
    """Given the latents a refractory occlusion is seldom a success; without the copula it would be as often."""
    latents, outcomes = drawn(60_000, 2)
    independent = [expit(LINKS[task].log_odds(latents)) for task in TASKS]
    both = (outcomes["fpe"] & outcomes["rlvo"]).mean()
    assert both < 0.7 * (independent[0] * independent[2]).mean()


@pytest.mark.parametrize("labels", list(product((0, 1), repeat=3)), ids=str)
@pytest.mark.parametrize("fails", [False, True])
def test_columns_give_back_all_three_labels(labels: tuple[int, int, int], fails: bool) -> None:
    rng = np.random.default_rng(3)
    for _ in range(60):
        cells = outcome_columns(Fate.of(*labels, fails=fails), GRADES, rng)
        row = CaseRow.model_validate(
            {"case_id": "c", "patient_id": "p", "images": {}, **{name: str(value) for name, value in cells.items()}}
        )
        assert tuple(label_of(task, row) for task in TASKS) == labels


def test_a_stenosis_shows_in_ct_for_every_outcome_and_in_mr_for_none() -> None:
    latents, _ = drawn(20_000, 4)
    assert reachable_by_task(latents, LINKS, "ct")["rlvo"]["images"] > 0.6
    assert reachable_by_task(latents, LINKS, "mr")["rlvo"]["images"] < 0.56


@pytest.mark.parametrize("task", TASKS)
def test_stated_auc_is_what_a_fitted_model_reaches(task: Task) -> None:
    latents, outcomes = drawn(60_000, 5)
    unseen, unseen_outcomes = drawn(60_000, 6)
    stated = reachable_by_task(latents, LINKS, "ct")[task]
    for source, seen in {"images": IMAGED["ct"], "table": TABULATED["ct"]}.items():
        columns = [np.stack([values[name] for name in sorted(seen)], axis=1) for values in (latents, unseen)]
        fitted = LogisticRegression().fit(columns[0], outcomes[task])
        reached = roc_auc_score(unseen_outcomes[task], fitted.decision_function(columns[1]))
        assert reached == pytest.approx(stated[source], abs=0.012)
    assert max(stated["images"], stated["table"]) <= stated["both"] <= stated["all_latents"]
