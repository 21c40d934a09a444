"""Patients whose three outcomes all follow from the same latents, each by its own logistic link.

The phantom hospitals of `generate_site` have one task each. The papers' cohorts need more: a network of one hospital is
tested on the outcome that another hospital's paper predicts. So first-pass effect, recanalisation and refractory
occlusion are drawn together here, with the rank correlation that they must have to fit into one set of outcome columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from fpe_core.config.study import Task
from fpe_core.data.phantoms.latents import FloatArray
from fpe_core.data.phantoms.spec import Modality
from fpe_core.data.phantoms.truth import predicted_log_odds, soft_auc

Latents = Mapping[str, FloatArray]
"""`(N,)` values of each patient by latent."""
TASKS: Final[tuple[Task, ...]] = ("fpe", "recanalization", "rlvo")
IMAGED: Final[Mapping[Modality, frozenset[str]]] = MappingProxyType({
    "mr": frozenset({"core", "collaterals", "clot_length"}),
    "ct": frozenset({"core", "collaterals", "clot_length", "clot_density", "stenosis"}),
})  # fmt: skip
"""Latents that are rendered. Stenosis is rendered in every CT, whatever the task."""
TABULATED: Final[Mapping[Modality, frozenset[str]]] = MappingProxyType({
    "mr": frozenset({"age", "nihss", "atrial_fibrillation", "dyslipidaemia", "aspects"}),
    "ct": frozenset({
        "age", "nihss", "atrial_fibrillation", "dyslipidaemia", "aspects", "hypoperfusion", "slow_share",
        "severe_share", "low_flow",
    }),
})  # fmt: skip
"""Latents that clinical columns show. An MR cohort has no CT perfusion."""
_OUTCOME_CORRELATION: Final = np.array([[1.0, -0.2, -0.5], [-0.2, 1.0, -0.5], [-0.5, -0.5, 1.0]])
"""Of `TASKS` given the latents, as a Gaussian copula. What remains of a refractory occlusion is seldom a success; and
with -0.2 the printed grades (AJNR 2024, table 1) come out, where first-pass success is often 2b."""


@dataclass(frozen=True)
class OutcomeLink:
    """log odds of one outcome = intercept + Σ coefficient · latent.

    Attributes:
        intercept: gives the population the paper's prevalence.
        coefficients: by latent.
    """

    intercept: float
    coefficients: Mapping[str, float]

    def log_odds(self, latents: Latents) -> FloatArray:
        """`(N,)` log odds."""
        return np.asarray(sum(weight * latents[name] for name, weight in self.coefficients.items()) + self.intercept)


def draw_joint_latents(
    num_cases: int, *, atrial_fibrillation: float, dyslipidaemia: float, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Latents of `num_cases` patients: standard normal, correlated as below, and two that are 0 or 1.

    Args:
        num_cases: patients.
        atrial_fibrillation: share of patients with it.
        dyslipidaemia: likewise.
        rng: decides the draw.
    """

    def normal() -> FloatArray:
        return rng.standard_normal(num_cases)

    def mixed(noise_weight: float, **parts: tuple[float, FloatArray]) -> FloatArray:
        return np.asarray(sum(weight * values for weight, values in parts.values()) + noise_weight * normal())

    core = normal()
    # CT perfusion: the larger the slow tissue, the smaller the share that is only a little slow and the larger the
    # share that is very slow. These correlations make the printed quartiles of all four volumes fit together.
    hypoperfusion = mixed(np.sqrt(1 - 0.5**2), core=(0.5, core))
    latents = {
        "core": core,
        "collaterals": mixed(np.sqrt(1 - 0.5**2), core=(-0.5, core)),
        "clot_length": normal(),
        "clot_density": normal(),
        "stenosis": normal(),
        "age": normal(),
        "nihss": mixed(0.8, core=(0.6, core)),
        "aspects": mixed(np.sqrt(1 - 0.7**2), core=(-0.7, core)),
        "hypoperfusion": hypoperfusion,
        "slow_share": mixed(np.sqrt(1 - 0.75**2), tmax=(-0.75, hypoperfusion)),
        "severe_share": mixed(np.sqrt(1 - 0.6**2), tmax=(0.6, hypoperfusion)),
        "low_flow": mixed(0.6, core=(0.8, core)),
        "access": normal(),
        "atrial_fibrillation": (rng.random(num_cases) < atrial_fibrillation).astype(np.float64),
        "dyslipidaemia": (rng.random(num_cases) < dyslipidaemia).astype(np.float64),
    }
    for name in ("core", "collaterals", "clot_length", "clot_density", "stenosis"):
        latents[name] = np.clip(latents[name], -2.5, 2.5)
    return latents


def draw_outcomes(
    latents: Latents, links: Mapping[Task, OutcomeLink], rng: np.random.Generator
) -> dict[Task, NDArray[np.int64]]:
    """0 or 1 of each patient by task. Given the latents each outcome has exactly its link's probability."""
    num_cases = len(latents["core"])
    noise = rng.standard_normal((num_cases, len(TASKS))) @ np.linalg.cholesky(_OUTCOME_CORRELATION).T
    return {
        task: (ndtr(noise[:, place]) > 1 - expit(links[task].log_odds(latents))).astype(np.int64)
        for place, task in enumerate(TASKS)
    }


def reachable_by_task(
    latents: Latents, links: Mapping[Task, OutcomeLink], modality: Modality
) -> dict[Task, dict[str, float]]:
    """Best AUC from images, from the table and from both, by task; `all_latents` also sees what nothing shows.

    Args:
        latents: of a large draw from the population.
        links: of the population.
        modality: decides what images and table show.
    """
    sources = {
        "images": IMAGED[modality],
        "table": TABULATED[modality],
        "both": IMAGED[modality] | TABULATED[modality],
    }
    found: dict[Task, dict[str, float]] = {}
    for task, link in links.items():
        log_odds = link.log_odds(latents)
        probability = np.asarray(expit(log_odds))
        found[task] = {
            source: soft_auc(predicted_log_odds(log_odds, [latents[name] for name in sorted(seen)]), probability)
            for source, seen in sources.items()
        } | {"all_latents": soft_auc(log_odds, probability)}
    return found
