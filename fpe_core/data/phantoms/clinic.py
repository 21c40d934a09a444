"""Clinical and outcome columns of phantom patients, drawn to the papers' tables and consistent with the label."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import ndtr

from fpe_core.config.study import Task
from fpe_core.data.phantoms.latents import AGE_MEAN_YEARS, AGE_SD_YEARS, LATENTS, FloatArray
from fpe_core.data.phantoms.spec import CaseMix, Modality

Cell = str | int | float


@dataclass(frozen=True)
class _Cohort:
    """Frequencies of the yes-or-no columns; minimum, quartiles, median and maximum of the others."""

    female: float
    iv_thrombolysis: float
    unwitnessed_onset: float
    hypertension: float
    diabetes: float
    smoker: float
    nihss: tuple[float, ...]
    onset_to_image_min: tuple[float, ...]
    aspects: tuple[float, ...]
    tmax_over_6_s_ml: tuple[float, ...] = (5, 61, 102, 155, 350)


# AJNR 2024, table 1, prints no vascular risk factors and no ASPECTS: those are typical values.
_UCLA_MR: Final = _Cohort(
    female=0.566, iv_thrombolysis=0.230, unwitnessed_onset=0.276, hypertension=0.60, diabetes=0.25, smoker=0.20,
    nihss=(1, 8, 15, 19, 36), onset_to_image_min=(30, 123, 167, 255, 1200), aspects=(3, 7, 8, 9, 10),
)  # fmt: skip
_UCLA_CT: Final = replace(
    _UCLA_MR, female=0.533, iv_thrombolysis=0.339, unwitnessed_onset=0.211,
    nihss=(1, 11, 16, 21, 38), onset_to_image_min=(20, 83, 113, 191, 1000),
)  # fmt: skip
# EJR 2025, table 1; the time from onset is not printed there.
_VALL_DHEBRON: Final = _Cohort(
    female=0.543, iv_thrombolysis=0.372, unwitnessed_onset=0.366, hypertension=0.399, diabetes=0.264, smoker=0.233,
    nihss=(0, 9, 15, 20, 40), onset_to_image_min=(20, 90, 150, 300, 1300), aspects=(4, 8, 9, 10, 10),
)  # fmt: skip
# Reperfusion grades by outcome group (AJNR 2024, table 1): unsuccessful; success after more passes; at the first.
_GRADES: Final = {
    "mr": ({"0": 11, "1": 2, "2a": 15}, {"2b": 37, "2c": 12, "3": 8}, {"2b": 31, "2c": 14, "3": 22}),
    "ct": ({"0": 9, "1": 2, "2a": 20}, {"2b": 37, "2c": 20, "3": 19}, {"2b": 31, "2c": 21, "3": 21}),
}
_UNSUCCESSFUL_AMONG_NEGATIVE: Final = {"mr": 28 / 85, "ct": 31 / 107}


def clinical_cells(
    latents: FloatArray, task: Task, modality: Modality, mix: CaseMix, rng: np.random.Generator
) -> dict[str, Cell]:
    """Clinical columns of one patient with `(len(LATENTS),)` latents; an unknown onset leaves its cell empty."""
    table = _VALL_DHEBRON if task == "rlvo" else _UCLA_CT if modality == "ct" else _UCLA_MR
    latent = dict(zip(LATENTS, latents.tolist(), strict=True))

    def happens(frequency: float) -> int:
        return int(rng.random() < frequency)

    unwitnessed = happens(table.unwitnessed_onset)
    minutes = round(_quantile(rng.standard_normal(), table.onset_to_image_min))
    site = rng.choice(["m1", "m2", "ica"], p=[mix.m1_share, mix.m2_share, 1 - mix.m1_share - mix.m2_share])
    return {
        "age_years": round(float(np.clip(AGE_MEAN_YEARS + AGE_SD_YEARS * latent["age"], 18, 99))),
        "sex": "F" if happens(table.female) else "M",
        "nihss": round(_quantile(latent["nihss"], table.nihss)),
        "aspects": round(_quantile(-0.7 * latent["core"] + 0.7 * rng.standard_normal(), table.aspects)),
        "onset_to_image_min": "" if unwitnessed else minutes,
        "unwitnessed_onset": unwitnessed,
        "iv_thrombolysis": happens(table.iv_thrombolysis),
        "hypertension": happens(table.hypertension),
        "dyslipidaemia": int(latent["dyslipidaemia"]),
        "diabetes": happens(table.diabetes),
        "atrial_fibrillation": int(latent["atrial_fibrillation"]),
        "smoker": happens(table.smoker),
        "occlusion_side": str(rng.choice(["left", "right"])),
        "occlusion_site": str(site),
        **_perfusion(latent, table.tmax_over_6_s_ml, rng),
    }


def _perfusion(latent: dict[str, float], tmax6: tuple[float, ...], rng: np.random.Generator) -> dict[str, Cell]:
    """CT perfusion volumes, in ml; nested as they must be. They tell nothing of the label beyond core and NIHSS."""
    over_6 = _quantile(0.6 * latent["core"] + 0.8 * rng.standard_normal(), tmax6)
    ratio = float(np.clip(0.43 + 0.17 * rng.standard_normal(), 0.02, 0.95))
    core = max(0.0, 25.0 * float(np.exp(0.9 * latent["core"])) - 20.0) * rng.uniform(0.4, 0.9)
    return {
        "cbf_under_30_ml": round(min(core, over_6), 1),
        "tmax_over_4_s_ml": round(over_6 * float(np.clip(1.8 + 0.4 * rng.standard_normal(), 1.1, 3.5)), 1),
        "tmax_over_6_s_ml": round(over_6, 1),
        "tmax_over_10_s_ml": round(over_6 * ratio, 1),
    }


def _quantile(normal: float, five: tuple[float, ...]) -> float:
    """Value at a standard normal's rank, linear between minimum, quartiles, median and maximum."""
    return float(np.interp(ndtr(normal), [0.0, 0.25, 0.5, 0.75, 1.0], five))


def outcome_cells(label: int, task: Task, modality: Modality, rng: np.random.Generator) -> dict[str, Cell]:
    """Outcome columns from which `task`'s definition gives back `label`."""
    unsuccessful, later, first = _GRADES[modality]
    calm: dict[str, Cell] = {"stenosis_percent": int(rng.integers(0, 41)), "rescue_treatment": 0}
    if task == "rlvo":
        return _rlvo_outcome(label, modality, rng)
    if task == "recanalization":
        grades = {"2c": 32, "3": 40} if label else {"0": 20, "1": 4, "2a": 34, "2b": 132}
        return {**_passes(_pick(grades, rng), modality, rng), **calm}
    if label:
        grade = _pick(first, rng)
        return {"num_passes": 1, "mtici_after_first_pass": grade, "final_mtici": grade, **calm}
    failed = rng.random() < _UNSUCCESSFUL_AMONG_NEGATIVE[modality]
    return {**_after_failed_pass(_pick(unsuccessful if failed else later, rng), modality, rng), **calm}


def _rlvo_outcome(label: int, modality: Modality, rng: np.random.Generator) -> dict[str, Cell]:
    """Half of the positives by stenosis, the others by grade; rescue in 18.2 % of them (EJR 2025)."""
    unsuccessful, later, first = _GRADES[modality]
    by_stenosis = bool(label) and rng.random() < 0.505
    success = {grade: later[grade] + first[grade] for grade in later}
    grade = _pick(unsuccessful if label and not by_stenosis else success, rng)
    return {
        **_passes(grade, modality, rng),
        "stenosis_percent": int(rng.integers(51, 91) if by_stenosis else rng.integers(0, 51)),
        "rescue_treatment": int(bool(label) and rng.random() < 0.182),
    }


def _passes(grade: str, modality: Modality, rng: np.random.Generator) -> dict[str, Cell]:
    if grade in {"2b", "2c", "3"} and rng.random() < 0.5:
        return {"num_passes": 1, "mtici_after_first_pass": grade, "final_mtici": grade}
    return _after_failed_pass(grade, modality, rng)


def _after_failed_pass(grade: str, modality: Modality, rng: np.random.Generator) -> dict[str, Cell]:
    """A first pass that did not succeed, and never ended better than the final grade."""
    order = ("0", "1", "2a")
    weights = _GRADES[modality][0]
    possible = order[: order.index(grade) + 1] if grade in order else order
    return {
        "num_passes": 2 + min(int(rng.geometric(0.5)) - 1, 4),
        "mtici_after_first_pass": _pick({name: weights[name] for name in possible}, rng),
        "final_mtici": grade,
    }


def _pick(counts: dict[str, int], rng: np.random.Generator) -> str:
    weights = np.array(list(counts.values()), dtype=np.float64)
    return str(rng.choice(list(counts), p=weights / weights.sum()))
