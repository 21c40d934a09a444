"""The decision curve figure, in the report's look."""

from collections.abc import Mapping

import matplotlib
from matplotlib.figure import Figure

from fpe_core.evaluation.decision_curve import DecisionCurve
from fpe_core.evaluation.report_figures import INK, MUTED, STYLE, canvas, site_looks, svg_text

SIZE_IN = (5.6, 4.2)
_SMALLEST_TOP = 0.01


def decision_figure(curves: Mapping[str, DecisionCurve]) -> str:
    """The figure of `draw_decision` as SVG text."""
    with matplotlib.rc_context(STYLE):
        return svg_text(draw_decision(curves))


def draw_decision(curves: Mapping[str, DecisionCurve]) -> Figure:
    """Net benefit over thresholds: models by name, all of the same cases, treating all, treating none.

    Raises:
        ValueError: there is no curve.
    """
    if not curves:
        raise ValueError("expected at least one curve, got none")
    looks, first = site_looks(list(curves)), next(iter(curves.values()))
    highest = max(_SMALLEST_TOP, float(first.treat_all.max()), *(float(curve.model.max()) for curve in curves.values()))
    with matplotlib.rc_context(STYLE):
        figure, axes = canvas(SIZE_IN)
        axes.plot(first.thresholds, first.treat_all, color=MUTED, linewidth=1.4, linestyle=(0, (5, 3)), label="all")
        axes.axhline(0, color=INK, linewidth=1.2, linestyle=(0, (1.5, 2)), label="none")
        for name, curve in curves.items():
            axes.plot(curve.thresholds, curve.model, color=looks[name].colour, linewidth=2, label=name, zorder=3)
        # Below, the curves run off to minus infinity and tell nothing more.
        axes.set(xlim=(0, 1), ylim=(-0.3 * highest, 1.1 * highest))
        axes.set(xlabel="Threshold probability", ylabel="Net benefit (true positives per case)")
        axes.legend(loc="upper right", title="Act on", title_fontsize=8.8, alignment="left")
    return figure
