"""A cohort's flow as text and as a picture: eligible, excluded by reason, included."""

import io
import textwrap

from fpe_core.data.inclusion import Flow

_BOX = {"boxstyle": "square,pad=0.6", "facecolor": "white", "edgecolor": "black", "linewidth": 1.0}
_PICTURE_INCHES = (7.5, 4.2)


def flow_text(flow: Flow) -> str:
    """The chart for a terminal; reasons without a case are left out."""
    excluded = [(reason, count) for reason, count in flow.excluded if count]
    total = flow.eligible - len(flow.included)
    arms = _arms(flow)
    lines = [
        f"eligible   {flow.eligible:>6}",
        "   |",
        f"   +-- excluded {total:>5}",
        *(f"   |      {count:>6}  {reason}" for reason, count in excluded),
        "   |",
        f"included   {len(flow.included):>6}" + (f"   ({arms})" if arms else ""),
    ]
    return "\n".join(lines)


def flow_picture(flow: Flow) -> bytes:
    """The chart as PNG: boxes of eligible and included cases, and beside the arrow the excluded ones.

    The same flow gives the same bytes on the same libraries.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_PICTURE_INCHES, dpi=150)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    arrow = {"arrowstyle": "-|>", "color": "black", "linewidth": 1.0, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=(0.22, 0.223), xytext=(0.22, 0.83), arrowprops=arrow)
    axes.annotate("", xy=(0.436, 0.53), xytext=(0.22, 0.53), arrowprops=arrow)
    axes.text(0.22, 0.88, f"Eligible\nn = {flow.eligible}", ha="center", va="center", bbox=_BOX)
    axes.text(0.45, 0.53, _excluded_words(flow), ha="left", va="center", fontsize=9, bbox=_BOX)
    axes.text(0.22, 0.2, _included_words(flow), ha="center", va="top", bbox=_BOX)
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def _excluded_words(flow: Flow) -> str:
    lines = [f"Excluded  n = {flow.eligible - len(flow.included)}"]
    for reason, count in flow.excluded:
        if count:
            lines += textwrap.wrap(f"{reason}  n = {count}", 52, initial_indent="  ", subsequent_indent="      ")
    return "\n".join(lines)


def _included_words(flow: Flow) -> str:
    arms = _arms(flow)
    return f"Included\nn = {len(flow.included)}" + (f"\n{arms}" if arms else "")


def _arms(flow: Flow) -> str:
    """Counts by arm where there is more than one."""
    return ", ".join(f"{name} {count}" for name, count in flow.arms.items()) if len(flow.arms) > 1 else ""
