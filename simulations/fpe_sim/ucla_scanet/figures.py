"""The figures: mean ROC curves, and all AUCs beside those that are printed."""

from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fpe_core.evaluation.figures_roc import draw_mean_roc
from fpe_core.evaluation.mean_roc import mean_roc
from fpe_core.evaluation.report_figures import INK, MUTED, STYLE, canvas, site_looks
from fpe_sim.figure_files import save_figure
from fpe_sim.protocol_results import ResultFigure
from fpe_sim.run_context import RunContext
from fpe_sim.ucla_scanet.outcome import ScanetOutcome
from fpe_sim.ucla_scanet.paper import MODELS, TABLE_1

_AUCS_SIZE_IN = (6.4, 3.4)
_HERE, _PAPER = 0.13, -0.13
"""Height of each series in a row of the figure."""


def save_all_figures(outcome: ScanetOutcome, context: RunContext) -> tuple[ResultFigure, ...]:
    """Draw and write every figure of the report."""
    curves = {
        model: mean_roc([(fold.probabilities, fold.labels) for fold in outcome.predictions[model]]) for model in MODELS
    }
    with matplotlib.rc_context(STYLE):
        save_figure(draw_mean_roc(curves), context.figures, "roc")
        save_figure(draw_aucs(outcome), context.figures, "aucs")
    return (
        ResultFigure(
            id="roc",
            title="Mean ROC curves of the three models",
            caption="Mean over the held-out folds, with a band of one standard deviation. The paper prints none.",
        ),
        ResultFigure(
            id="aucs",
            title="ROC-AUC here and in the paper's table 1",
            caption=(
                "Mean and standard deviation over folds; dots are the held-out folds. A dashed line marks the best AUC "
                "that the images allow, where it is known."
            ),
        ),
    )


def draw_aucs(outcome: ScanetOutcome) -> Figure:
    """One row for each line of the paper's table 1."""
    looks = site_looks(MODELS)
    names = list(TABLE_1)
    with matplotlib.rc_context(STYLE):
        figure, axes = canvas(_AUCS_SIZE_IN)
        for place, name in enumerate(reversed(names)):
            printed = TABLE_1[name]["auc"]
            _bar(axes, place + _PAPER, printed.mean, printed.sd, MUTED, "paper" if place == 0 else None, marker="s")
            if name in MODELS:
                aucs = [fold.scores.auc for fold in outcome.predictions[name]]
                found = outcome.auc(name)
                axes.plot(aucs, [place + _HERE] * len(aucs), ".", color=looks[name].colour, alpha=0.45, markersize=6)
                label = "here" if place == 0 else None
                _bar(axes, place + _HERE, found.mean, found.sd, looks[name].colour, label, marker="o")
        if outcome.reachable_auc is not None:
            axes.axvline(outcome.reachable_auc, color=INK, linewidth=1, linestyle=(0, (5, 3)), label="reachable")
        axes.axvline(0.5, color=MUTED, linewidth=1, linestyle=(0, (1, 2)), label="guessing")
        axes.set_yticks(range(len(names)), list(reversed(names)))
        axes.set(xlim=(0, 1), ylim=(-0.6, len(names) - 0.4), xlabel="ROC-AUC")
        axes.legend(loc="upper left", fontsize=8)
    return figure


def _bar(
    axes: Axes, height: float, mean: float, sd: float | None, colour: str, label: str | None, *, marker: str
) -> None:
    look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 5, "linewidth": 1.6, "capsize": 2.5}
    axes.errorbar(mean, height, xerr=sd or None, label=label, **look)
