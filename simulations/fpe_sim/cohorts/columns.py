"""Clinical columns of a paper cohort's patients, drawn to the frequencies and quantiles of table 1."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from fpe_core.data.phantoms.clinic import Cell
from fpe_core.data.phantoms.joint import Latents
from fpe_core.data.phantoms.latents import FloatArray
from fpe_sim.cohorts.flows import Exclusion
from fpe_sim.cohorts.populations import Curve, Population

_FREE: Final = ("female", "unwitnessed_onset", "iv_thrombolysis", "hypertension", "diabetes", "smoker")
"""Yes-or-no columns that have nothing to do with any outcome."""


def clinical_columns(population: Population, latents: Latents, rng: np.random.Generator) -> list[dict[str, Cell]]:
    """The clinical cells of each patient; an unknown onset leaves its time empty.

    Columns that no latent decides are spread evenly (`spread`): their frequencies are the population's to the nearest
    patient.

    Args:
        population: frequencies and quantile functions.
        latents: `(N,)` by name.
        rng: decides what latents do not.
    """
    num_cases = len(latents["core"])
    yes = {name: spread(num_cases, rng) < population.shares[name] for name in _FREE}
    minutes = np.rint(_values(population.curves["onset_to_image_min"], spread(num_cases, rng)))
    side = np.where(spread(num_cases, rng) < 0.5, "left", "right")
    site = categories(population.sites, num_cases, rng)
    measured = {
        name: np.rint(_values(population.curves[name], ndtr(latents[latent])))
        for name, latent in (("age_years", "age"), ("nihss", "nihss"), ("aspects", "aspects"))
    }
    perfusion = _perfusion(population.curves, latents) if "tmax_over_6_s_ml" in population.curves else {}
    return [
        {
            "age_years": int(measured["age_years"][at]),
            "sex": "F" if yes["female"][at] else "M",
            "nihss": int(measured["nihss"][at]),
            "aspects": int(measured["aspects"][at]),
            "onset_to_image_min": "" if yes["unwitnessed_onset"][at] else int(minutes[at]),
            **{name: int(yes[name][at]) for name in _FREE if name != "female"},
            "atrial_fibrillation": int(latents["atrial_fibrillation"][at]),
            "dyslipidaemia": int(latents["dyslipidaemia"][at]),
            "occlusion_side": str(side[at]),
            "occlusion_site": str(site[at]),
            **{name: round(float(values[at]), 1) for name, values in perfusion.items()},
        }
        for at in range(num_cases)
    ]


def _perfusion(curves: Mapping[str, Curve], latents: Latents) -> dict[str, FloatArray]:
    """CT perfusion volumes, in ml; nested as they must be."""
    tmax6 = _values(curves["tmax_over_6_s_ml"], ndtr(latents["hypoperfusion"]))
    low_flow = _values(curves["cbf_under_30_ml"], ndtr(latents["low_flow"]))
    return {
        "cbf_under_30_ml": np.minimum(low_flow, tmax6),
        "tmax_over_4_s_ml": tmax6 * _values(curves["slow_ratio"], ndtr(latents["slow_share"])),
        "tmax_over_6_s_ml": tmax6,
        "tmax_over_10_s_ml": tmax6 * _values(curves["severe_ratio"], ndtr(latents["severe_share"])),
    }


def cells_of_exclusion(reason: Exclusion, rng: np.random.Generator) -> dict[str, Cell]:
    """What a left-out patient's row has, or lacks, for the reason."""
    no_outcome: dict[str, Cell] = dict.fromkeys(
        ("num_passes", "mtici_after_first_pass", "final_mtici", "stenosis_percent", "rescue_treatment"), ""
    )
    if reason in ("quality degraded", "severe artefacts"):
        return {"image_quality_degraded": 1}
    if reason == "side unclear":
        return {"occlusion_side": ""}
    if reason == "no occlusion":
        return {"no_occlusion_on_angiography": 1, **no_outcome}
    if reason == "several occlusions":
        return {"several_occlusions": 1}
    if reason == "CTP parameters missing":
        # Without Tmax > 6 s both ratios are missing as well: with one more volume that makes four of six.
        return {"tmax_over_6_s_ml": "", str(rng.choice(["tmax_over_4_s_ml", "tmax_over_10_s_ml"])): ""}
    return {}


def spread(num_cases: int, rng: np.random.Generator) -> FloatArray:
    """`(num_cases,)` uniform numbers from 0 to 1, one in each of as many equal parts, in random order."""
    return np.asarray((rng.permutation(num_cases) + rng.random(num_cases)) / max(num_cases, 1))


def categories(shares: Mapping[str, float], num_cases: int, rng: np.random.Generator) -> NDArray[np.str_]:
    """`(num_cases,)` names in these shares, to the nearest case."""
    ends = np.cumsum(list(shares.values()))[:-1]
    return np.array(list(shares))[np.searchsorted(ends, spread(num_cases, rng), side="right")]


def _values(curve: Curve, ranks: FloatArray) -> FloatArray:
    points, values = zip(*curve, strict=True)
    return np.asarray(np.interp(ranks, points, values))
