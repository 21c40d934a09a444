"""The figure of mean ROC curves over folds, as both papers print it, in the report's look."""

from collections.abc import Mapping

import matplotlib
from matplotlib.figure import Figure

from fpe_core.evaluation.folds import format_mean_sd
from fpe_core.evaluation.mean_roc import MeanRoc
from fpe_core.evaluation.report_figures import HAIRLINE, ROC_SIZE_IN, STYLE, canvas, site_looks, svg_text


def mean_roc_figure(curves: Mapping[str, MeanRoc]) -> str:
    """The figure of `draw_mean_roc` as SVG text."""
    with matplotlib.rc_context(STYLE):
        return svg_text(draw_mean_roc(curves))


def draw_mean_roc(curves: Mapping[str, MeanRoc], *, bands: bool = True) -> Figure:
    """Mean ROC curves; the legend has mean AUC (SD) by name.

    Args:
        curves: by name.
        bands: whether each has its band of one standard deviation, which many curves hide each other with.
    """
    looks = site_looks(list(curves))
    with matplotlib.rc_context(STYLE):
        figure, axes = canvas(ROC_SIZE_IN)
        axes.plot([0, 1], [0, 1], color=HAIRLINE, linewidth=1.2, zorder=1)
        for name, curve in curves.items():
            x, colour = curve.false_positive_rate, looks[name].colour
            if bands:
                axes.fill_between(x, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0, zorder=2)
            label = f"{name}  {format_mean_sd(curve.auc, digits=2)}"
            axes.plot(x, curve.true_positive_rate, color=colour, linewidth=2, label=label, zorder=3)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set(xlabel="False positive rate (1 − specificity)", ylabel="True positive rate (sensitivity)")
        axes.legend(loc="lower right", title="AUC, mean (SD)", title_fontsize=8.8, alignment="left")
        return figure
