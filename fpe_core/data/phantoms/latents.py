"""What a phantom patient is before anyone makes a picture of it: standard normal latents, and the label's link."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fpe_core.config.study import Task
from fpe_core.data.phantoms.spec import CaseMix, Modality

FloatArray = NDArray[np.float64]

LATENTS: Final = (
    "core", "collaterals", "clot_length", "clot_density", "stenosis",
    "age", "nihss", "atrial_fibrillation", "dyslipidaemia", "access",
)  # fmt: skip
"""Columns of a latent array. All standard normal in the reference population, but the two 0/1 columns."""

VISIBLE: Final[dict[Modality, frozenset[str]]] = {
    "mr": frozenset({"core", "collaterals", "clot_length"}),
    "ct": frozenset({"core", "collaterals", "clot_length", "clot_density", "stenosis"}),
}
"""Latents that are rendered into the images of a modality. `access` is rendered nowhere: the irreducible part."""
IN_TABLE: Final = frozenset({"age", "nihss", "atrial_fibrillation", "dyslipidaemia"})
"""Latents that the clinical columns show. NIHSS is correlated with the core, so the table tells of it too."""

CORE_MEDIAN_ML: Final = 25.0
CORE_LOG_SD: Final = 0.9
AGE_MEAN_YEARS: Final = 71.0
AGE_SD_YEARS: Final = 16.0
_CORE_COLLATERALS: Final = -0.5
_CORE_NIHSS: Final = 0.6
_SHARES: Final[dict[Task, tuple[float, float]]] = {
    "fpe": (0.35, 0.40),
    "recanalization": (0.35, 0.40),
    "rlvo": (0.343, 0.439),
}
"""Prevalence of atrial fibrillation and of dyslipidaemia (EJR 2025, table 1; no figure is printed for UCLA)."""


@dataclass(frozen=True)
class Link:
    """log odds of a positive label = intercept + Σ coefficient · latent.

    Attributes:
        intercept: chosen so that the reference population has the paper's prevalence.
        coefficients: by latent; a latent that is absent has no effect.
    """

    intercept: float
    coefficients: dict[str, float]

    def log_odds(self, latents: FloatArray, *, shift: float = 0.0) -> FloatArray:
        """`(N,)` log odds of `(N, len(LATENTS))` latents, moved by a site's shift."""
        weights = np.array([self.coefficients.get(name, 0.0) for name in LATENTS])
        return np.asarray(latents @ weights + self.intercept + shift)


_MR: Final = {
    "core": -1.9, "collaterals": 1.1, "clot_length": -0.4,
    "age": -0.35, "nihss": -0.2, "atrial_fibrillation": 0.6, "access": 0.8,
}  # fmt: skip
_CT: Final = {
    "clot_length": -1.6, "clot_density": 1.3, "collaterals": 1.2, "core": -0.4,
    "age": -0.35, "nihss": -0.2, "atrial_fibrillation": 0.6, "access": 0.8,
}  # fmt: skip
_RLVO: Final = {
    "stenosis": 0.75, "clot_density": -0.45, "clot_length": 0.3, "collaterals": -0.3,
    "nihss": 0.25, "atrial_fibrillation": -1.0, "dyslipidaemia": -0.6, "access": 0.7,
}  # fmt: skip
LINKS: Final[dict[tuple[Task, Modality], Link]] = {
    ("fpe", "mr"): Link(-0.716, _MR),
    ("fpe", "ct"): Link(-0.977, _CT),
    ("recanalization", "mr"): Link(-1.357, _MR),
    ("recanalization", "ct"): Link(-0.612, _CT),
    ("rlvo", "mr"): Link(-1.695, {**_RLVO, "core": 0.5}),
    ("rlvo", "ct"): Link(-1.569, _RLVO),
}


def draw_latents(num_cases: int, mix: CaseMix, task: Task, rng: np.random.Generator) -> FloatArray:
    """`(num_cases, len(LATENTS))` latents of a site's patients.

    A site's case mix moves age and core; the link stays the same everywhere. Core and collaterals are cut to ±2.5.
    """
    noise = rng.standard_normal((num_cases, len(LATENTS)))
    column = dict(zip(LATENTS, noise.T, strict=True))
    share_af, share_dys = _SHARES[task]
    core_shift = float(np.log(mix.core_median_ml / CORE_MEDIAN_ML) / CORE_LOG_SD)
    core, collaterals = column["core"], column["collaterals"]
    column["collaterals"] = _CORE_COLLATERALS * core + np.sqrt(1 - _CORE_COLLATERALS**2) * collaterals
    column["nihss"] = _CORE_NIHSS * core + np.sqrt(1 - _CORE_NIHSS**2) * column["nihss"]
    column["core"] = core + core_shift
    column["age"] = (column["age"] * mix.age_sd_years + mix.age_mean_years - AGE_MEAN_YEARS) / AGE_SD_YEARS
    uniforms = rng.random((2, num_cases))
    column["atrial_fibrillation"] = (uniforms[0] < share_af).astype(np.float64)
    column["dyslipidaemia"] = (uniforms[1] < share_dys).astype(np.float64)
    for name in ("core", "collaterals", "clot_length", "clot_density", "stenosis"):
        column[name] = np.clip(column[name], -2.5, 2.5)
    return np.stack([column[name] for name in LATENTS], axis=1)


def core_volume_ml(core: float) -> float:
    """Volume of the acute core, log-normal around the reference median, in ml."""
    return float(CORE_MEDIAN_ML * np.exp(CORE_LOG_SD * core))


def clot_length_mm(clot_length: float) -> float:
    """Length of the clot, log-normal with median 9 mm, cut to 3..25 mm."""
    return float(np.clip(9.0 * np.exp(0.5 * clot_length), 3.0, 25.0))


def clot_density_hu(clot_density: float) -> float:
    """Density of the clot in NCCT, 42..80 HU."""
    return float(np.clip(58.0 + 8.0 * clot_density, 42.0, 80.0))


def collateral_grade(collaterals: float) -> float:
    """Collateral supply from 0 (none) to 1 (full)."""
    return float(1.0 / (1.0 + np.exp(-1.2 * collaterals)))


def core_flair(onset_to_image_min: str | float, rng: np.random.Generator) -> float:
    """FLAIR signal of the core over normal tissue.

    Isointense before about three hours, 40 % brighter after seven; an unknown onset (empty) may be either.
    """
    minutes = float(onset_to_image_min) if onset_to_image_min != "" else rng.uniform(60, 600)
    return 1.0 + 0.4 * float(np.clip((minutes - 180) / 240, 0, 1))
