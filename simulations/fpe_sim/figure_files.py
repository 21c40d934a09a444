"""Writes a figure as SVG and PNG."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from fpe_core.evaluation.report_figures import STYLE, svg_text
from fpe_core.files import write_atomic

_PNG_DPI = 150


def save_figure(figure: Figure, folder: Path, figure_id: str) -> None:
    """Write `folder/FIGURE_ID.svg` and `.png`. The figure was drawn inside `rc_context(STYLE)`."""
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        write_atomic(folder / f"{figure_id}.svg", svg_text(figure).encode())
        figure.savefig(folder / f"{figure_id}.png", dpi=_PNG_DPI)
