"""The reliability diagram, in the report's look."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fpe_core.evaluation.reliability import ReliabilityBin
from fpe_core.evaluation.report_figures import MUTED, ROC_SIZE_IN, STYLE, canvas, site_looks, svg_text


def reliability_figure(bins: Sequence[ReliabilityBin]) -> str:
    """Observed against predicted of one set of cases, as SVG text; see `draw_reliability`."""
    with matplotlib.rc_context(STYLE):
        return svg_text(draw_reliability({"": bins}))


def draw_reliability(bins_by_name: Mapping[str, Sequence[ReliabilityBin]]) -> Figure:
    """Observed against predicted with Wilson's intervals, a point for each bin and a line for each set of cases.

    Args:
        bins_by_name: the legend's names; an empty name leaves only the numbers of cases and bins.

    Raises:
        ValueError: there is no set.
    """
    if not bins_by_name:
        raise ValueError("expected at least one set of cases, got none")
    looks = site_looks(list(bins_by_name))
    with matplotlib.rc_context(STYLE):
        figure, axes = canvas(ROC_SIZE_IN)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=(0, (5, 3)), zorder=1, label="ideal")
        for name, bins in bins_by_name.items():
            _draw(axes, name, bins, looks[name].colour)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set(xlabel="Predicted probability", ylabel="Observed share with the outcome")
        figure.legend(loc="outside upper left", ncols=2 if len(bins_by_name) == 1 else 1)
    return figure


def _draw(axes: Axes, name: str, bins: Sequence[ReliabilityBin], colour: str) -> None:
    predicted = [one.mean_probability for one in bins]
    low, observed, high = np.array([(one.observed.low, one.observed.value, one.observed.high) for one in bins]).T
    num_cases = sum(one.observed.total for one in bins)
    axes.errorbar(
        predicted,
        observed,
        yerr=[observed - low, high - observed],
        color=colour,
        marker="o",
        markersize=5,
        linewidth=1.6,
        elinewidth=1,
        capsize=2.5,
        zorder=3,
        label=f"{name}: {num_cases} cases, {len(bins)} bins"
        if name
        else f"{num_cases} cases in {len(bins)} bins, Wilson intervals",
    )
