"""The reliability diagram, in the report's look."""

from collections.abc import Sequence

import matplotlib
import numpy as np

from fpe_core.evaluation.reliability import ReliabilityBin
from fpe_core.evaluation.report_figures import COLOURS, MUTED, ROC_SIZE_IN, STYLE, canvas, svg_text


def reliability_figure(bins: Sequence[ReliabilityBin]) -> str:
    """Observed against predicted with Wilson's intervals, a point for each bin, as SVG text."""
    predicted = [one.mean_probability for one in bins]
    low, observed, high = np.array([(one.observed.low, one.observed.value, one.observed.high) for one in bins]).T
    num_cases = sum(one.observed.total for one in bins)
    with matplotlib.rc_context(STYLE):
        figure, axes = canvas(ROC_SIZE_IN)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=(0, (5, 3)), zorder=1, label="ideal")
        axes.errorbar(
            predicted,
            observed,
            yerr=[observed - low, high - observed],
            color=COLOURS[0],
            marker="o",
            markersize=5,
            linewidth=1.6,
            elinewidth=1,
            capsize=2.5,
            zorder=3,
            label=f"{num_cases} cases in {len(bins)} bins, Wilson intervals",
        )
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set(xlabel="Predicted probability", ylabel="Observed share with the outcome")
        figure.legend(loc="outside upper left", ncols=2)
        return svg_text(figure)
