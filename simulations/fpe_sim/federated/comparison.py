"""From AUCs by seed, site and arm to means, paired differences and the share of the gap that federation closes.

The unit is the seed: each has cohorts of its own, so an interval over seeds is one over cohorts as well. Within a seed
each site counts once, whatever its size.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

import numpy as np
from scipy import stats

from fpe_core.evaluation.folds import student_interval, t_test
from fpe_sim.federated.protocol import Arm
from fpe_sim.federated.scores import SiteAuc

_LEVEL = 0.95
_RESAMPLES = 9999
_COMPARED: tuple[Arm, ...] = ("local", "federated", "pooled")

Unit = tuple[int, str, str]
"""Seed number, modality and site."""


@dataclass(frozen=True)
class OverSeeds:
    """A number in each seed, and what that says of other seeds.

    Attributes:
        values: one for each seed.
        mean: of them.
        sd: with n - 1 in the denominator; None for a single seed.
        low: lower end of the 95 % interval of the mean (`student_interval`); None for a single seed.
        high: upper end.
        p_value: of the t test against zero; None for an AUC, for a single seed, where all seeds differ alike, and where
            they have the same patients.
    """

    values: tuple[float, ...]
    mean: float
    sd: float | None
    low: float | None
    high: float | None
    p_value: float | None


@dataclass(frozen=True)
class Share:
    """Part of the way from local to pooled that federation goes: 0 none of it, 1 all of it.

    Attributes:
        value: mean gain over mean gap; None where the gap may be nothing, so that it cannot be divided by.
        low: lower end of the 95 % interval (percentile bootstrap over seeds).
        high: upper end.
    """

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Comparison:
    """What the arms are worth.

    Attributes:
        arms: mean over the sites of the held-out AUC by arm, over the sites where all of the arms have one.
        differences: paired differences of these, by name: federated-local, pooled-federated, pooled-local.
        share: of the gap that federation recovers; None where an arm that it needs was not run.
        left_out: at the sites that were left out: federation without them, their own local model, and federation with
            them, by arm; empty where that was not run.
        left_out_difference: federation without the site, minus the site's own local model.
        sites: AUC by modality, site and arm, over seeds.
        num_units: sites times seeds that the means are over.
        num_missing: sites times seeds that are left out, because an arm has no AUC there.
        same_patients: every seed divides the same patients anew: intervals know the luck of that and of training only,
            and seeds are not independent, so that no p is given.
    """

    arms: dict[Arm, OverSeeds]
    differences: dict[str, OverSeeds]
    share: Share | None
    left_out: dict[Arm, OverSeeds]
    left_out_difference: OverSeeds | None
    sites: dict[tuple[str, str], dict[Arm, OverSeeds]]
    num_units: int
    num_missing: int
    same_patients: bool = False


def compare(scores: Sequence[SiteAuc], *, seed: int, same_patients: bool = False) -> Comparison:
    """Compare the arms that have an AUC somewhere.

    Args:
        scores: at least one of the arm federated that has an AUC.
        seed: of the bootstrap.
        same_patients: see `Comparison`.
    """
    by_unit: dict[Unit, dict[Arm, float]] = defaultdict(dict)
    for score in scores:
        if score.auc is not None:
            by_unit[score.seed_number, score.modality, score.site][score.arm] = score.auc
    present = {score.arm for score in scores if score.auc is not None}
    arms = [arm for arm in _COMPARED if arm in present]
    whole = {unit: aucs for unit, aucs in by_unit.items() if all(arm in aucs for arm in arms)}
    means = _means_by_seed(whole, arms)
    differences = {
        f"{better}-{worse}": difference_over_seeds(means[better], means[worse], same_patients=same_patients)
        for better, worse in (("federated", "local"), ("pooled", "federated"), ("pooled", "local"))
        if better in means and worse in means
    }
    left_out, left_out_difference = _left_out(by_unit, present, same_patients=same_patients)
    return Comparison(
        arms={arm: over_seeds(values) for arm, values in means.items()},
        differences=differences,
        share=share_recovered(differences["federated-local"], differences["pooled-local"], seed=seed)
        if len(differences) == 3
        else None,
        left_out=left_out,
        left_out_difference=left_out_difference,
        sites=_by_site(by_unit, [*arms, "leave-one-out"]),
        num_units=len(whole),
        num_missing=len({(score.seed_number, score.modality, score.site) for score in scores}) - len(whole),
        same_patients=same_patients,
    )


def over_seeds(values: Sequence[float], *, lowest: float = 0.0) -> OverSeeds:
    """Mean, SD and t interval of AUCs.

    Args:
        values: one for each seed.
        lowest: that a value can be.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("expected a value for at least one seed, got none")
    if len(values) == 1:
        return OverSeeds(tuple(values), values[0], None, None, None, None)
    low, high = student_interval(values, lowest=lowest)
    return OverSeeds(tuple(values), fmean(values), stdev(values), low, high, None)


def difference_over_seeds(better: Sequence[float], worse: Sequence[float], *, same_patients: bool = False) -> OverSeeds:
    """Differences of two arms' AUCs, paired by seed, with the t test against zero where seeds are independent."""
    differences = [one - other for one, other in zip(better, worse, strict=True)]
    found = over_seeds(differences, lowest=-1.0)
    return found if found.sd is None or same_patients else replace(found, p_value=t_test(differences))


def share_recovered(gain: OverSeeds, gap: OverSeeds, *, seed: int) -> Share:
    """Mean gain over mean gap, with a bootstrap interval over seeds.

    No ratio where the gap's own interval reaches zero or there is no such interval: its denominator could be nothing.

    Args:
        gain: federated minus local.
        gap: pooled minus local, of the same seeds.
        seed: of the resampling.
    """
    if gap.low is None or gap.low <= 0:
        return Share(None)
    found = stats.bootstrap(
        (np.array(gain.values), np.array(gap.values)),
        lambda gains, gaps, axis: gains.mean(axis=axis) / gaps.mean(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=_RESAMPLES,
        confidence_level=_LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Share(gain.mean / gap.mean, float(found.low), float(found.high))


def _means_by_seed(units: dict[Unit, dict[Arm, float]], arms: Sequence[Arm]) -> dict[Arm, list[float]]:
    """Mean over the sites in each seed, in the order of the seeds."""
    seeds = sorted({seed for seed, _, _ in units})
    return {arm: [fmean(a[arm] for (own, _, _), a in units.items() if own == seed) for seed in seeds] for arm in arms}


def _left_out(
    by_unit: dict[Unit, dict[Arm, float]], present: set[Arm], *, same_patients: bool
) -> tuple[dict[Arm, OverSeeds], OverSeeds | None]:
    arms: list[Arm] = [arm for arm in ("local", "leave-one-out", "federated") if arm in present]
    units = {
        unit: aucs for unit, aucs in by_unit.items() if "leave-one-out" in aucs and all(arm in aucs for arm in arms)
    }
    if not units:
        return {}, None
    means = _means_by_seed(units, arms)
    if "local" not in means:
        return {arm: over_seeds(values) for arm, values in means.items()}, None
    gain = difference_over_seeds(means["leave-one-out"], means["local"], same_patients=same_patients)
    return {arm: over_seeds(values) for arm, values in means.items()}, gain


def _by_site(by_unit: dict[Unit, dict[Arm, float]], arms: Sequence[Arm]) -> dict[tuple[str, str], dict[Arm, OverSeeds]]:
    places = sorted({(modality, site) for _, modality, site in by_unit})
    found: dict[tuple[str, str], dict[Arm, OverSeeds]] = {}
    for place in places:
        values = {
            arm: [
                aucs[arm]
                for (_, modality, site), aucs in sorted(by_unit.items())
                if (modality, site) == place and arm in aucs
            ]
            for arm in arms
        }
        found[place] = {arm: over_seeds(own) for arm, own in values.items() if own}
    return found
