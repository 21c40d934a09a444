"""What the comparison says, in sentences and in a few lines for the terminal."""

from collections.abc import Iterator

from fpe_sim.federated.comparison import Comparison, OverSeeds
from fpe_sim.federated.tables import ARM_NAMES, DIFFERENCE_NAMES, SAME_PATIENTS

_BAR_WIDTH = 32
_AXIS = (0.4, 1.0)
"""AUCs between which the terminal's bars are drawn."""


def findings(comparison: Comparison, reachable: float | None) -> tuple[str, ...]:
    """The answers, most important first, whichever way they came out."""
    return tuple(_findings(comparison, reachable))


def _findings(comparison: Comparison, reachable: float | None) -> Iterator[str]:
    if comparison.share is not None:
        yield _share_sentence(comparison)
    gain = comparison.differences.get("federated-local")
    if gain is not None:
        yield f"Federation {_changes(gain)} a site's held-out AUC, against learning alone: {_difference(gain)}."
    rest = comparison.differences.get("pooled-federated")
    if rest is not None:
        if _is_unsure(rest):
            yield f"Pooling all cases and federation are not told apart: pooled minus federated is {_difference(rest)}."
        else:
            yield f"Pooling all cases is {'better' if rest.mean > 0 else 'worse'} than federation: {_difference(rest)}."
    if comparison.left_out_difference is not None:
        out = comparison.left_out_difference
        yield (
            f"A site that takes no part is served {_better(out)} by the others' federation than by its own model: "
            f"{_difference(out)}."
        )
    if comparison.same_patients:
        yield f"{SAME_PATIENTS}."
    if reachable is not None:
        best = max(found.mean for found in comparison.arms.values())
        yield f"No model can expect more than an AUC of {reachable:.3f} here; the best arm has {best:.3f}."


def _share_sentence(comparison: Comparison) -> str:
    share, gap = comparison.share, comparison.differences["pooled-local"]
    if gap.high is not None and gap.high < 0:
        return f"All cases pooled are worse than each site alone, so there is no gap to recover: {_difference(gap)}."
    if share is None or share.value is None or share.low is None or share.high is None:
        return (
            "The gap between each site alone and all cases pooled is too small, or the seeds are too few, to say which "
            f"share of it federation recovers: {_difference(gap)}."
        )
    return (
        f"Federation recovers {share.value:.0%} (95 % interval {share.low:.0%} to {share.high:.0%}) of the gap in "
        f"held-out AUC between each site alone and all cases pooled, which is {_difference(gap)}."
    )


def _difference(found: OverSeeds) -> str:
    if found.low is None or found.high is None:
        return f"{found.mean:+.3f} in a single seed"
    p_value = "" if found.p_value is None else f", p {_p_value(found.p_value)}"
    between = f"95 % interval {found.low:+.3f} to {found.high:+.3f} over {len(found.values)} seeds{p_value}"
    return f"{found.mean:+.3f} ({between})"


def _p_value(p_value: float) -> str:
    return "< .001" if p_value < 0.001 else f"= {p_value:.3f}"


def _is_unsure(found: OverSeeds) -> bool:
    return found.low is None or found.high is None or found.low <= 0 <= found.high


def _changes(found: OverSeeds) -> str:
    if _is_unsure(found):
        return "does not measurably change"
    return "raises" if found.mean > 0 else "lowers"


def _better(found: OverSeeds) -> str:
    if _is_unsure(found):
        return "neither measurably better nor worse"
    return "better" if found.mean > 0 else "worse"


def screen(comparison: Comparison, reachable: float | None) -> str:
    """The comparison on one screen, readable without colour."""
    lines = ["Held-out AUC, mean over the sites (95 % interval over seeds)", ""]
    shown = {ARM_NAMES[arm]: found for arm, found in comparison.arms.items()}
    if "leave-one-out" in comparison.left_out:
        shown[f"{ARM_NAMES['leave-one-out']} *"] = comparison.left_out["leave-one-out"]
    width = max(map(len, [*shown, *DIFFERENCE_NAMES.values()]))
    lines += [f"  {name:<{width}}  {_bar(found.mean)}  {_interval(found)}" for name, found in shown.items()]
    if reachable is not None:
        lines.append(f"  {'Reachable':<{width}}  {_bar(reachable)}  {reachable:.3f}")
    lines.append("")
    for name, found in comparison.differences.items():
        p_value = "" if found.p_value is None else f"  p {_p_value(found.p_value)}"
        lines.append(f"  {DIFFERENCE_NAMES[name]:<{width}}  {_interval(found, sign='+')}{p_value}")
    if comparison.share is not None:
        share = comparison.share
        told = "none, the gap may be nothing"
        if share.value is not None:
            told = f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})"
        lines += ["", f"  Share of the gap that federation recovers: {told}"]
    if "leave-one-out" in comparison.left_out:
        lines.append("  * at the sites that were left out; alone, these sites have " + _local_there(comparison))
    return "\n".join(lines)


def _local_there(comparison: Comparison) -> str:
    local = comparison.left_out.get("local")
    return "not been trained" if local is None else _interval(local)


def _interval(found: OverSeeds, sign: str = "") -> str:
    if found.low is None:
        return f"{found.mean:{sign}.3f}"
    return f"{found.mean:{sign}.3f} ({found.low:{sign}.3f} to {found.high:{sign}.3f})"


def _bar(auc: float) -> str:
    low, high = _AXIS
    filled = round(_BAR_WIDTH * min(max((auc - low) / (high - low), 0), 1))
    return "█" * filled + "·" * (_BAR_WIDTH - filled)
