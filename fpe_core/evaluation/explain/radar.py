"""The radar plot of what clinical columns contribute (EJR 2025, figure 4)."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes
from matplotlib.ticker import MaxNLocator

from fpe_core.errors import ModelError
from fpe_core.evaluation.explain.daft import Contribution
from fpe_core.evaluation.report_figures import HAIRLINE, INK, MUTED, site_looks
from fpe_core.files import write_atomic

COLUMN_WORDS: Final[Mapping[str, str]] = MappingProxyType({
    "age_years": "age",
    "sex": "sex",
    "hypertension": "hypertension",
    "dyslipidaemia": "dyslipidaemia",
    "diabetes": "diabetes",
    "smoker": "smoker",
    "atrial_fibrillation": "atrial\nfibrillation",
    "nihss": "NIHSS",
    "iv_thrombolysis": "IV\nthrombolysis",
    "unwitnessed_onset": "unwitnessed\nonset",
    "occlusion_side": "occlusion\nside",
    "occlusion_site": "occlusion\nsite",
    "cbf_under_30_ml": "CBF < 30 %",
    "tmax_over_4_s_ml": "Tmax > 4 s",
    "tmax_over_6_s_ml": "Tmax > 6 s",
    "tmax_over_10_s_ml": "Tmax > 10 s",
    "hypoperfusion_intensity_ratio": "hypoperfusion\nintensity ratio",
    "tmax4_to_tmax6_ratio": "Tmax > 4 s /\nTmax > 6 s",
    "aspects": "ASPECTS",
})  # fmt: skip
"""What stands at the spoke of a `ClinicalColumn`; a column of another name stands there as it is."""
MIN_COLUMNS = 3
_WIDTH_IN, _HEIGHT_IN, _DPI = 6.6, 5.9, 150
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": MUTED,
    "axes.edgecolor": HAIRLINE,
    "legend.frameon": False,
    "legend.fontsize": 8.8,
}


def write_radar(path: Path, models: Mapping[str, Sequence[Contribution]], *, title: str) -> None:
    """Write a PNG: a spoke for each column, clockwise from the top in the order given, a line for each model.

    Args:
        path: the PNG; its folder is made.
        models: contributions by the model's name in the legend, all of the same columns in the same order.
        title: above the plot.

    Raises:
        ModelError: there is no model, the models' columns differ, or there are fewer than three.
    """
    with matplotlib.rc_context(_STYLE):
        figure = draw_radar(models, title=title)
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=_DPI, metadata={"Software": None})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, content.getvalue())


def draw_radar(models: Mapping[str, Sequence[Contribution]], *, title: str) -> Figure:
    """The figure that `write_radar` writes.

    Raises:
        ModelError: as `write_radar`.
    """
    columns = _columns(models)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN + 0.2 * len(models)))
        figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
        axes = cast(PolarAxes, figure.add_subplot(projection="polar"))
        _draw_spokes(axes, columns)
        _draw_models(axes, models)
        figure.suptitle(title, fontsize=11)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center")
    return figure


def _columns(models: Mapping[str, Sequence[Contribution]]) -> tuple[str, ...]:
    columns = {tuple(each.column for each in found) for found in models.values()}
    if len(columns) != 1:
        raise ModelError(f"models should be one or more with the same columns in the same order, got {sorted(columns)}")
    (names,) = columns
    if len(names) < MIN_COLUMNS:
        raise ModelError(f"a radar plot should have at least {MIN_COLUMNS} columns, got {list(names)}")
    return names


def _draw_spokes(axes: PolarAxes, columns: Sequence[str]) -> None:
    angles = _angles(len(columns))
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    axes.set_xticks(angles, [COLUMN_WORDS.get(column, column.replace("_", " ")) for column in columns])
    for label, angle in zip(axes.get_xticklabels(), angles, strict=True):
        # Words grow away from the circle.
        sideways = np.sin(angle)
        label.set_horizontalalignment("center" if abs(sideways) < 0.1 else "left" if sideways > 0 else "right")
    axes.tick_params(axis="x", pad=6)
    # The numbers stand between the first two spokes.
    axes.set_rlabel_position(180 / len(columns))
    axes.grid(color=HAIRLINE, linewidth=0.8)
    axes.spines["polar"].set_visible(False)


def _draw_models(axes: PolarAxes, models: Mapping[str, Sequence[Contribution]]) -> None:
    looks = site_looks(list(models))
    for name, found in models.items():
        closed = [each.value for each in (*found, found[0])]
        angles = np.append(_angles(len(found)), 0.0)
        look = looks[name]
        axes.plot(angles, closed, color=look.colour, linewidth=look.width_pt, marker="o", markersize=3.5, label=name)
        axes.fill(angles, closed, color=look.colour, alpha=0.12)
    largest = max(each.value for found in models.values() for each in found)
    axes.set_ylim(0, 1.05 * largest or 1.0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, prune="lower"))
    for number in axes.get_yticklabels():
        number.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1})


def _angles(number: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.linspace(0, 2 * np.pi, number, endpoint=False)
