"""The figures of the report as SVG text: ROC curves and learning curves.

Matplotlib's object interface only: no global figure, no display. Colours are Okabe and Ito's set for colour-blind
readers (https://jfly.uni-koeln.de/color/) without its yellow, which vanishes on white; the dashes change when the
colours start again, and the pooled line is told apart by its width.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fpe_core.evaluation.scores import RocCurve

INK, MUTED, HAIRLINE = "#1b2733", "#5b6875", "#d9dee3"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#e69f00", "#56b4e9")
DASHES = ("none", "6 3", "6 3 2 3", "2 3")
"""Dash patterns in the notation of SVG: lengths of line and gap in turn."""
POOLED = "All sites together"
ROC_SIZE_IN, LEARNING_SIZE_IN = (4.8, 4.8), (4.1, 3.3)
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": HAIRLINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.8,
    "lines.solid_capstyle": "round",
    "svg.hashsalt": "fpe-report",
}


@dataclass(frozen=True, eq=False)
class RocLine:
    """One curve of the ROC figure.

    Attributes:
        label: name for the legend.
        curve: its points.
        auc: the area to print beside the name, in [0, 1].
    """

    label: str
    curve: RocCurve
    auc: float


@dataclass(frozen=True)
class Series:
    """One line of a learning curve: `x` counts rounds, and a missing y leaves a gap."""

    label: str
    x: Sequence[float]
    y: Sequence[float | None]


@dataclass(frozen=True)
class Look:
    """How a line is drawn: colour, width in points, and one of `DASHES`."""

    colour: str
    dashes: str = "none"
    width_pt: float = 1.6


POOLED_LOOK = Look(INK, width_pt=2.6)


def site_looks(names: Sequence[str]) -> dict[str, Look]:
    """The look of each site, the same in every figure, and that of the pooled line."""
    sites = {
        name: Look(COLOURS[i % len(COLOURS)], DASHES[i // len(COLOURS) % len(DASHES)]) for i, name in enumerate(names)
    }
    return {**sites, POOLED: POOLED_LOOK}


def roc_figure(lines: Sequence[RocLine], looks: Mapping[str, Look]) -> str:
    """ROC curves with their areas in the legend, as SVG text."""
    with matplotlib.rc_context(STYLE):
        figure, axes = canvas(ROC_SIZE_IN)
        axes.plot([0, 1], [0, 1], color=HAIRLINE, linewidth=1.2, zorder=1)
        for line in lines:
            label = f"{line.label}  {line.auc:.2f}"
            x, y = line.curve.false_positive_rate, line.curve.true_positive_rate
            axes.plot(x, y, label=label, **_drawn(line.label, looks))
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set(xlabel="False positive rate (1 − specificity)", ylabel="True positive rate (sensitivity)")
        axes.legend(loc="lower right", title="AUC", title_fontsize=8.8, alignment="left")
        return svg_text(figure)


def learning_figure(
    series: Sequence[Series], looks: Mapping[str, Look], *, x_label: str, y_label: str, best_round: int | None
) -> str:
    """Lines over the rounds, as SVG text without a legend; `best_round` is marked where it is given."""
    with matplotlib.rc_context(STYLE):
        figure, axes = canvas(LEARNING_SIZE_IN)
        for one in series:
            y = np.array([np.nan if value is None else value for value in one.y], dtype=np.float64)
            marker = "o" if len(one.x) <= 40 else ""
            axes.plot(one.x, y, marker=marker, markersize=3.2, **_drawn(one.label, looks))
        if best_round is not None:
            _mark(axes, best_round)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.set(xlabel=x_label, ylabel=y_label)
        return svg_text(figure)


def canvas(size_in: tuple[float, float]) -> tuple[Figure, Axes]:
    """An empty figure of this width and height in inches; to be drawn on inside `rc_context(STYLE)`."""
    figure = Figure(figsize=size_in, layout="constrained")
    axes = figure.add_subplot()
    axes.grid(color=HAIRLINE, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _drawn(label: str, looks: Mapping[str, Look]) -> dict[str, Any]:
    look = looks[label]
    lengths = tuple(float(length) for length in look.dashes.split()) if look.dashes != "none" else ()
    line_style = (0, lengths) if lengths else "-"
    zorder = 4 if label == POOLED else 3
    return {"color": look.colour, "linestyle": line_style, "linewidth": look.width_pt, "zorder": zorder}


def _mark(axes: Axes, best_round: int) -> None:
    axes.axvline(best_round, color=MUTED, linewidth=1, linestyle=(0, (2, 3)), zorder=2)
    axes.annotate(
        "chosen model",
        (best_round, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=8.8,
        color=MUTED,
    )


def svg_text(figure: Figure) -> str:
    """The figure as SVG, the same text for the same figure."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
