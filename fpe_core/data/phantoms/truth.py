"""The best AUC that anyone can reach on a phantom site, by simulation."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from fpe_core.config.study import Task
from fpe_core.data.phantoms.latents import IN_TABLE, LATENTS, LINKS, VISIBLE, FloatArray, draw_latents
from fpe_core.data.phantoms.spec import CaseMix, Modality

NUM_SIMULATED: Final = 200_000
STATEMENT: Final = (
    "Bayes-optimal ROC-AUC by simulation of 200000 cases of this site: the score is the expected log odds given the "
    "latents that the source shows, free of measurement noise. It bounds every model from above. Age also shows in the "
    "images, through atrophy, and is counted for the table only."
)


def reachable_auc(task: Task, modality: Modality, mix: CaseMix, *, seed: int = 0) -> dict[str, float]:
    """Bayes-optimal AUC from images, from the table and from both.

    The latents that are not seen are Gaussian given those that are (up to the cuts and the 0/1 columns), so the
    best score is monotone in the least-squares prediction of the log odds.

    Returns:
        AUC by source: images, table, both; `all_latents` also sees what nothing shows.
    """
    latents = draw_latents(NUM_SIMULATED, mix, task, np.random.default_rng(seed))
    log_odds = LINKS[task, modality].log_odds(latents, shift=mix.log_odds_shift)
    probability = 1 / (1 + np.exp(-log_odds))
    sources = {"images": VISIBLE[modality], "table": IN_TABLE, "both": VISIBLE[modality] | IN_TABLE}
    found = {
        name: soft_auc(
            predicted_log_odds(log_odds, [latents[:, LATENTS.index(latent)] for latent in sorted(seen)]), probability
        )
        for name, seen in sources.items()
    }
    return {**found, "all_latents": soft_auc(log_odds, probability)}


def predicted_log_odds(log_odds: FloatArray, columns: Sequence[FloatArray]) -> FloatArray:
    """`(N,)` least-squares prediction of the log odds from `(N,)` latents that are seen."""
    design = np.stack([np.ones(len(log_odds)), *columns], axis=1)
    solution = np.linalg.lstsq(design, log_odds, rcond=None)[0]
    return np.asarray(design @ solution)


def soft_auc(score: FloatArray, probability: FloatArray) -> float:
    """Expected AUC of `score` when case i is positive with `probability[i]`: pairs weighted by p_i (1 - p_j)."""
    ordered = probability[np.argsort(score)]
    negative = 1 - ordered
    below = np.cumsum(negative) - negative
    pairs = ordered.sum() * negative.sum() - (ordered * negative).sum()
    return float((ordered * below).sum() / pairs)
