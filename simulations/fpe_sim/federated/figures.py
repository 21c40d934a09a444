"""The comparison as figures: each seed a dot, the mean with its interval beside them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fpe_core.evaluation.report_figures import COLOURS, INK, MUTED, STYLE
from fpe_sim.federated.comparison import Comparison, OverSeeds
from fpe_sim.federated.protocol import Arm
from fpe_sim.federated.studies import ArmStudy
from fpe_sim.federated.tables import ARM_NAMES
from fpe_sim.figure_files import save_figure
from fpe_sim.protocol_results import ResultFigure

_COLOUR: dict[Arm, str] = dict(zip(ARM_NAMES, COLOURS, strict=False))
_SHORT: dict[Arm, str] = {
    "local": "alone", "federated": "federated", "pooled": "pooled", "leave-one-out": "without\nthe site",
}  # fmt: skip


def draw_figures(
    comparison: Comparison, studies: Sequence[ArmStudy], reachable: float | None, folder: Path
) -> tuple[ResultFigure, ...]:
    """Write all figures to `folder`."""
    drawn = []
    with matplotlib.rc_context(STYLE):
        for figure, entry in (
            (_by_arm(comparison, reachable), _BY_ARM),
            (_by_site(comparison, reachable), _BY_SITE),
            (_learning(studies, reachable), _LEARNING),
        ):
            save_figure(figure, folder, entry.id)
            drawn.append(entry)
    return tuple(drawn)


_BY_ARM = ResultFigure(
    id="auc-by-arm",
    title="Held-out AUC by arm",
    caption="Mean over the sites. Each line is one seed; the dot beside it is the mean over the seeds with its 95 % "
    "interval. The column on the right is the site that was left out, in a federation of the "
    "others. Dashed: the AUC that no model can expect to exceed.",
)
_BY_SITE = ResultFigure(
    id="auc-by-site",
    title="Held-out AUC by site and arm",
    caption="Mean over the seeds, with their standard deviation.",
)
_LEARNING = ResultFigure(
    id="learning-curves",
    title="Validation AUC by round",
    caption="Validation cases of all sites whose policies let scores out, together, after so many rounds. Thin: single "
    "seeds. Bold: their mean. The pooled hospital makes as many passes over its cases in a round as each site of the "
    "federation over its own.",
)


def _by_arm(comparison: Comparison, reachable: float | None) -> Figure:
    shown = dict(comparison.arms)
    if "leave-one-out" in comparison.left_out:
        shown["leave-one-out"] = comparison.left_out["leave-one-out"]
    figure = Figure(figsize=(1.6 + 1.3 * len(shown), 3.8), layout="constrained")
    axes = figure.add_subplot()
    for seed in range(len(next(iter(comparison.arms.values())).values)):
        axes.plot(
            range(len(comparison.arms)), [found.values[seed] for found in comparison.arms.values()],
            color=MUTED, linewidth=0.8, alpha=0.5, marker="o", markersize=3.5,
        )  # fmt: skip
    for place, (arm, found) in enumerate(shown.items()):
        if arm not in comparison.arms:
            axes.plot([place] * len(found.values), found.values, "o", color=MUTED, alpha=0.5, markersize=3.5)
        _interval(axes, place + 0.16, found, _COLOUR[arm])
    axes.set_xticks(range(len(shown)), [_SHORT[arm] for arm in shown])
    axes.set_xlim(-0.5, len(shown) - 0.4)
    _finish(axes, reachable, "AUC, mean over the sites")
    return figure


def _interval(axes: Axes, place: float, found: OverSeeds, colour: str) -> None:
    if found.low is not None and found.high is not None:
        axes.plot([place, place], [found.low, found.high], color=colour, linewidth=2)
    axes.plot([place], [found.mean], "o", color=colour, markersize=7)
    axes.annotate(f"{found.mean:.3f}", (place, found.mean), xytext=(7, -3), textcoords="offset points", color=colour)


def _by_site(comparison: Comparison, reachable: float | None) -> Figure:
    sites = comparison.sites
    arms = list(dict.fromkeys(arm for found in sites.values() for arm in found))
    figure = Figure(figsize=(max(5.6, 1.6 + 0.9 * len(sites)), 4.2), layout="constrained")
    axes = figure.add_subplot()
    for number, arm in enumerate(arms):
        own = [(place, found[arm]) for place, found in enumerate(sites.values()) if arm in found]
        shift = 0.16 * (number - (len(arms) - 1) / 2)
        axes.errorbar(
            [place + shift for place, _ in own], [found.mean for _, found in own],
            yerr=[found.sd or 0.0 for _, found in own],
            fmt="o", color=_COLOUR[arm], markersize=5, elinewidth=1.2, label=ARM_NAMES[arm],
        )  # fmt: skip
    axes.set_xticks(range(len(sites)), [site for _, site in sites], rotation=30, ha="right")
    figure.legend(loc="outside lower center", ncols=len(arms) if len(sites) > 6 else 2)
    _finish(axes, reachable, "AUC")
    return figure


def _learning(studies: Sequence[ArmStudy], reachable: float | None) -> Figure:
    figure = Figure(figsize=(4.8, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for arm in ("federated", "pooled"):
        curves = list(_curves(study for study in studies if study.arm == arm))
        for curve in curves:
            axes.plot(curve, color=_COLOUR[arm], linewidth=0.7, alpha=0.4)
        if curves:
            axes.plot(np.mean(curves, axis=0), color=_COLOUR[arm], linewidth=2.4, label=ARM_NAMES[arm])
            axes.legend(loc="lower right")
    axes.set_xlabel("rounds done")
    _finish(axes, reachable, "validation AUC")
    return figure


def _curves(studies: Iterator[ArmStudy]) -> Iterator[list[float]]:
    """Validation AUC after 0, 1, … rounds, of the studies whose sites withheld it in no round."""
    for study in studies:
        curve = [entry.pooled_validation_auc for entry in study.results.rounds]
        known = [auc for auc in curve if auc is not None]
        if len(known) == len(curve):
            yield known


def _finish(axes: Axes, reachable: float | None, label: str) -> None:
    axes.axhline(0.5, color=INK, linewidth=0.6, alpha=0.4)
    if reachable is not None:
        axes.axhline(reachable, color=INK, linewidth=0.9, linestyle="--")
        axes.annotate("reachable", (0.01, reachable), xycoords=("axes fraction", "data"), va="bottom", fontsize=8)
    axes.set_ylabel(label)
