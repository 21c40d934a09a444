from typing import get_args

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from fpe_core.config.study import Task
from fpe_core.data.phantoms.demo_sites import demo_sites
from fpe_core.data.phantoms.latents import IN_TABLE, LATENTS, LINKS, VISIBLE, FloatArray, draw_latents
from fpe_core.data.phantoms.spec import CaseMix, Modality
from fpe_core.data.phantoms.truth import reachable_auc


def drawn(task: Task, modality: Modality, mix: CaseMix, seed: int = 11) -> tuple[FloatArray, np.ndarray]:
    rng = np.random.default_rng(seed)
    latents = draw_latents(60_000, mix, task, rng)
    odds = LINKS[task, modality].log_odds(latents, shift=mix.log_odds_shift)
    return latents, rng.random(len(odds)) < 1 / (1 + np.exp(-odds))


@pytest.mark.parametrize(
    ("task", "modality", "prevalence"),
    [("fpe", "mr", 0.441), ("fpe", "ct", 0.406), ("recanalization", "ct", 0.45), ("rlvo", "ct", 0.16)],
)
def test_reference_population_has_the_papers_prevalence(task: Task, modality: Modality, prevalence: float) -> None:
    labels = drawn(task, modality, CaseMix())[1]
    assert labels.mean() == pytest.approx(prevalence, abs=0.008)


@pytest.mark.parametrize("site", demo_sites(1), ids=lambda site: site.name)
def test_stated_auc_is_what_a_fitted_model_reaches(site) -> None:
    """Independent of the stated number: logistic regression on the visible latents, scored on cases it never saw."""
    latents, labels = drawn(site.task, site.modality, site.case_mix)
    unseen, unseen_labels = drawn(site.task, site.modality, site.case_mix, seed=12)
    stated = reachable_auc(site.task, site.modality, site.case_mix)
    for source, seen in {"images": VISIBLE["mr"], "table": IN_TABLE, "both": VISIBLE["mr"] | IN_TABLE}.items():
        columns = [LATENTS.index(name) for name in sorted(seen)]
        fitted = LogisticRegression().fit(latents[:, columns], labels)
        reached = roc_auc_score(unseen_labels, fitted.decision_function(unseen[:, columns]))
        assert reached == pytest.approx(stated[source], abs=0.008)
    assert 0.85 <= stated["images"] <= 0.91
    assert stated["table"] < stated["images"] < stated["both"] < stated["all_latents"] < 1


def test_refractory_occlusion_is_reachable_about_as_far_as_published() -> None:
    stated = reachable_auc("rlvo", "ct", CaseMix())
    assert 0.72 <= stated["both"] <= 0.78


def test_case_mix_moves_core_age_and_prevalence() -> None:
    usual, labels = drawn("fpe", "mr", CaseMix())
    other, other_labels = drawn("fpe", "mr", CaseMix(age_mean_years=60, core_median_ml=50, log_odds_shift=-0.5))
    core, age = LATENTS.index("core"), LATENTS.index("age")
    assert np.median(other[:, core]) - np.median(usual[:, core]) == pytest.approx(np.log(2) / 0.9, abs=0.03)
    assert np.mean(other[:, age]) - np.mean(usual[:, age]) == pytest.approx(-11 / 16, abs=0.03)
    assert other_labels.mean() < labels.mean() - 0.1


def test_every_task_and_modality_has_a_link_over_known_latents() -> None:
    assert set(LINKS) == {(task, modality) for task in get_args(Task) for modality in get_args(Modality)}
    assert all(set(link.coefficients) <= set(LATENTS) for link in LINKS.values())
