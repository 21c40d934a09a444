"""Attention on the image it was found in, as a picture of a few slices."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fpe_core.errors import ModelError
from fpe_core.imaging.volume import Array, Mask
from fpe_core.preprocessing.processed import write_private

NUM_SLICES = 3
_PANEL_IN, _GAP_IN, _LEFT_IN, _RIGHT_IN, _TOP_IN, _FOOT_IN = 2.3, 0.05, 0.4, 0.85, 0.6, 0.34
_DPI = 150
_COLOURS = matplotlib.colormaps["viridis"]
_OPACITY = 0.8
_OUTLINE = "#ff4b3e"
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": "white",
    "axes.labelcolor": "white",
    "axes.edgecolor": "#464646",
    "ytick.color": "white",
}
_CONVENTION = "Radiological convention: the patient's right (R) is on the left, the front of the head on top."


@dataclass(frozen=True, eq=False)
class Scene:
    """What attention is drawn on, on the grid of a `ProcessedCase`.

    Attributes:
        background: `(Z, H, W)` float32, drawn in grey between its own percentiles.
        name: what stands above it, such as "CTA".
        pixel_mm: height and width of a pixel in a slice.
        vessels: `(Z, H, W)` bool, or None; its outline is drawn on every map.
    """

    background: Array
    name: str
    pixel_mm: tuple[float, float] = (1.0, 1.0)
    vessels: Mask | None = None


def write_overlay(
    path: Path, scene: Scene, maps: Mapping[str, Array], *, title: str, slices: Sequence[int] | None = None
) -> None:
    """Write a PNG: a row for each slice, in it the image alone and then each map in colour on the image.

    Where there is no attention there is no colour. The file shows a patient: it is readable by its owner only.

    Args:
        path: the PNG; its folder is made.
        scene: what the maps are drawn on.
        maps: `(Z, H, W)` float, 0 to 1, by the words above them, such as "Before DAFT" and "After DAFT".
        title: first line of the picture, the caller's; nothing else in it names the case.
        slices: indices along Z, drawn in this order; by default the three with the most attention, from foot to head.

    Raises:
        ModelError: there is no map or no slice, shapes differ, or a slice lies outside the volume.
    """
    with matplotlib.rc_context(_STYLE):
        figure = draw_overlay(scene, maps, title=title, slices=slices)
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=_DPI, facecolor="black", metadata={"Software": None})
    write_private(path, content.getvalue())


def draw_overlay(scene: Scene, maps: Mapping[str, Array], *, title: str, slices: Sequence[int] | None = None) -> Figure:
    """The figure that `write_overlay` writes. It shows a patient, wherever it is saved.

    Raises:
        ModelError: as `write_overlay`.
    """
    _check_shapes(scene, maps)
    chosen = tuple(slices) if slices is not None else most_attended(list(maps.values()))
    _check_slices(chosen, len(scene.background))
    with matplotlib.rc_context(_STYLE):
        figure, panels = _canvas(scene, rows=len(chosen), columns=1 + len(maps))
        for z, row in zip(chosen, panels, strict=True):
            _draw_row(row, scene, maps, z)
        for axes, words in zip(panels[0], (scene.name, *maps), strict=True):
            axes.set_title(words, color="white", fontsize=9.5, pad=5)
        _add_words(figure, title, outlined=scene.vessels is not None)
    return figure


def most_attended(maps: Sequence[Array], number: int = NUM_SLICES) -> tuple[int, ...]:
    """The slices with the largest attention, summed over all maps, in ascending order.

    Among equals those nearest to the middle count first, so that maps of zeros show the middle of the head.
    """
    attention = np.sum([each.sum(axis=(1, 2)) for each in maps], axis=0)
    from_middle = np.abs(np.arange(attention.size) - (attention.size - 1) / 2)
    best = np.lexsort((from_middle, -attention))[:number]
    return tuple(sorted(int(z) for z in best))


def _check_shapes(scene: Scene, maps: Mapping[str, Array]) -> None:
    if not maps:
        raise ModelError("an overlay should have at least one map, got none")
    shapes = {name: each.shape for name, each in maps.items()}
    if scene.vessels is not None:
        shapes["vessels"] = scene.vessels.shape
    for name, shape in shapes.items():
        if shape != scene.background.shape:
            expected = list(scene.background.shape)
            raise ModelError(f"{name} should be {expected} as the {scene.name} is, got {list(shape)}")


def _check_slices(slices: Sequence[int], depth: int) -> None:
    outside = [z for z in slices if not 0 <= z < depth]
    if outside or not slices:
        raise ModelError(f"slices should be one or more of 0 to {depth - 1}, got {outside or 'none'}")


def _canvas(scene: Scene, *, rows: int, columns: int) -> tuple[Figure, list[list[Axes]]]:
    """A black figure with a panel for each picture, in its own proportions, and room for the words around them."""
    _, height, width = scene.background.shape
    panel_in = _PANEL_IN * height * scene.pixel_mm[0] / (width * scene.pixel_mm[1])
    width_in = _LEFT_IN + columns * (_PANEL_IN + _GAP_IN) + _RIGHT_IN
    height_in = _TOP_IN + rows * (panel_in + _GAP_IN) + _FOOT_IN
    figure = Figure(figsize=(width_in, height_in), facecolor="black")
    panels = []
    for row in range(rows):
        bottom = (height_in - _TOP_IN - (row + 1) * (panel_in + _GAP_IN)) / height_in
        lefts = [(_LEFT_IN + column * (_PANEL_IN + _GAP_IN)) / width_in for column in range(columns)]
        size = (_PANEL_IN / width_in, panel_in / height_in)
        panels.append([figure.add_axes((left, bottom, *size)) for left in lefts])
    return figure, panels


def _draw_row(row: Sequence[Axes], scene: Scene, maps: Mapping[str, Array], z: int) -> None:
    low, high = _grey_range(scene.background)
    aspect = scene.pixel_mm[0] / scene.pixel_mm[1]
    for axes, attention in zip(row, (None, *maps.values()), strict=True):
        axes.imshow(scene.background[z], cmap="gray", vmin=low, vmax=high, aspect=aspect)
        if attention is not None:
            axes.imshow(_coloured(attention[z]), aspect=aspect)
            _outline(axes, scene.vessels, z)
            _say_if_empty(axes, attention)
        _mark_sides(axes)
    row[0].set_ylabel(f"slice {z}", labelpad=6)


def _grey_range(background: Array) -> tuple[float, float]:
    """Black and white: percentiles of what is not background."""
    inside = background[background != 0]
    low, high = np.percentile(inside, (1, 98.5)) if inside.size else (0.0, 1.0)
    return min(float(low), 0.0), max(float(high), float(low) + 1e-6)


def _coloured(attention: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """`(H, W)`, 0 to 1, to `(H, W, 4)` RGBA: clear at 0, and from 0.5 on as opaque as it gets."""
    colours = np.array(_COLOURS(attention), dtype=np.float64)
    colours[..., 3] = _OPACITY * np.clip(2 * attention, 0, 1)
    return colours


def _outline(axes: Axes, vessels: Mask | None, z: int) -> None:
    # Where a slice is all vessel or none, there is no outline.
    if vessels is not None and 0 < vessels[z].mean() < 1:
        axes.contour(vessels[z].astype(np.float32), levels=[0.5], colors=_OUTLINE, linewidths=0.7)


def _say_if_empty(axes: Axes, attention: Array) -> None:
    if not attention.any():
        axes.text(
            0.5, 0.03, "no attention in this case", transform=axes.transAxes, ha="center", va="bottom", fontsize=7.5
        )


def _mark_sides(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for x, side, align in ((0.02, "R", "left"), (0.98, "L", "right")):
        axes.text(x, 0.5, side, transform=axes.transAxes, ha=align, va="center", color="#ffd60a", fontsize=8.5)


def _add_words(figure: Figure, title: str, *, outlined: bool) -> None:
    """Title, colour bar and foot line."""
    width_in, height_in = (float(inches) for inches in figure.get_size_inches())
    left = _LEFT_IN / width_in
    figure.text(left, 1 - 0.1 / height_in, title, ha="left", va="top", fontsize=11)
    figure.text(left, 0.11 / height_in, _CONVENTION, ha="left", va="bottom", fontsize=7.5)
    if outlined:
        right = 1 - (_RIGHT_IN + _GAP_IN) / width_in
        figure.text(right, 0.11 / height_in, "vessels", ha="right", va="bottom", fontsize=7.5, color=_OUTLINE)
    bar_in = min(2.2, height_in - _TOP_IN - _FOOT_IN)
    position = (1 - 0.6 / width_in, 1 - (_TOP_IN + bar_in) / height_in, 0.13 / width_in, bar_in / height_in)
    axes = figure.add_axes(position)
    axes.set_facecolor("black")
    axes.imshow(_coloured(np.linspace(0, 1, 256)[:, None]), extent=(0, 1, 0, 1), origin="lower", aspect="auto")
    axes.set_xticks([])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"], fontsize=7.5)
    axes.yaxis.tick_right()
    axes.set_title("attention", fontsize=8, pad=5)
