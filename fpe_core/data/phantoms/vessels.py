"""The large arteries of the head as smooth centre lines in MNI mm, and what an occlusion takes away."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from fpe_core.data.phantoms.smooth import Float32

Points = NDArray[np.float64]
SAMPLE_MM: Final = 0.5
# Right-sided control points in MNI mm; then the radius at both ends, in mm.
_LINES: Final[dict[str, tuple[tuple[tuple[float, float, float], ...], float, float]]] = {
    "ica": (
        ((25, -24, -90), (26, -22, -66), (25, -16, -50), (15, -6, -40), (12, 4, -34), (9, 8, -24), (13, 3, -14)),
        2.4, 1.9,
    ),
    "m1": (((13, 3, -14), (19, 6, -14), (28, 6, -16), (36, 3, -14)), 1.5, 1.3),
    "m2_superior": (((36, 3, -14), (40, 8, -5), (41, 10, 8), (47, 4, 22), (54, -6, 36)), 1.1, 0.6),
    "m2_inferior": (((36, 3, -14), (42, -6, -6), (46, -22, 4), (53, -38, 14), (57, -50, 24)), 1.1, 0.6),
    "a1": (((13, 3, -14), (8, 10, -14), (3, 16, -11)), 1.1, 1.0),
    "a2": (((3, 16, -11), (3, 32, 0), (3, 33, 18), (3, 16, 34), (3, -12, 44)), 1.0, 0.5),
    "pca": (((1, -20, -17), (10, -21, -15), (22, -30, -8), (20, -58, -3), (13, -80, 3)), 1.2, 0.6),
    "vertebral": (((20, -46, -100), (16, -44, -76), (9, -38, -62), (1, -32, -50)), 1.7, 1.5),
}  # fmt: skip
_MIDLINE: Final[dict[str, tuple[tuple[tuple[float, float, float], ...], float, float]]] = {
    "basilar": (((0, -32, -50), (0, -30, -38), (0, -24, -24), (0, -20, -17)), 1.8, 1.5),
    "sagittal_sinus": (((0, 70, 10), (0, 54, 50), (0, 10, 80), (0, -45, 80), (0, -88, 50), (0, -108, 4)), 2.0, 3.5),
}  # fmt: skip
_CHAIN: Final = {
    "ica": ("ica", "m1", "m2_superior"),
    "m1": ("m1", "m2_superior"),
    "m2_superior": ("m2_superior",),
    "m2_inferior": ("m2_inferior",),
}
_OCCLUDED: Final = {
    "ica": frozenset({"m1", "m2_superior", "m2_inferior", "a1"}),
    "m1": frozenset({"m2_superior", "m2_inferior"}),
    "m2_superior": frozenset[str](),
    "m2_inferior": frozenset[str](),
}
_BEGINS_MM: Final = {"ica": -8.0, "m1": 7.0, "m2_superior": 4.0, "m2_inferior": 4.0}
"""Where the clot begins on its first vessel, from its start; negative counts from its end."""


@dataclass(frozen=True)
class Vessel:
    """One artery or vein as samples every `SAMPLE_MM`.

    Attributes:
        name: as in the tables above; side: left, right or middle.
        points_mm: `(N, 3)` MNI mm. radius_mm: `(N,)`.
        supply: `(N,)` share of the arterial enhancement that arrives: 1 in front of the clot, 0 in it.
    """

    name: str
    side: str
    points_mm: Points
    radius_mm: NDArray[np.float64]
    supply: NDArray[np.float64]


@dataclass(frozen=True)
class Occlusion:
    """A clot: in which vessel and how long, how well collaterals fill behind it, and how much plaque narrows it.

    Attributes:
        side: left or right. site: ica, m1, m2_superior or m2_inferior.
        length_mm: along the vessel. collaterals: 0 to 1. stenosis: 0 (cut-off) to 1 (long taper).
    """

    side: str
    site: str
    length_mm: float
    collaterals: float
    stenosis: float = 0.0


def vessel_tree(occlusion: Occlusion) -> list[Vessel]:
    """All vessels, filled as the occlusion leaves them."""
    vessels = [_vessel(name, side, occlusion) for name in _LINES for side in ("left", "right")]
    return vessels + [_vessel(name, "middle", occlusion) for name in _MIDLINE]


def clot(occlusion: Occlusion) -> tuple[Points, NDArray[np.float64]]:
    """`(N, 3)` centre line in MNI mm and `(N,)` radius in mm of the clot, which may go on into the next vessel."""
    names = _CHAIN[occlusion.site]
    lines = [_sampled(name, occlusion.side) for name in names]
    points = np.concatenate([line[0] for line in lines])
    radius = np.concatenate([line[1] for line in lines])
    begin = _begin(occlusion.site)
    chosen = slice(begin, begin + round(occlusion.length_mm / SAMPLE_MM))
    return points[chosen], radius[chosen]


def _vessel(name: str, side: str, occlusion: Occlusion) -> Vessel:
    points, radius = _sampled(name, side)
    supply = np.ones(len(points))
    if side == occlusion.side:
        if name in _OCCLUDED[occlusion.site]:
            supply[:] = occlusion.collaterals
        elif name == occlusion.site:
            supply[_begin(name) :] = occlusion.collaterals
            radius = _tapered(radius, _begin(name), occlusion.stenosis)
        supply[_clotted(name, occlusion, len(points))] = 0.0
    return Vessel(name, side, points, radius, supply)


def _tapered(radius: NDArray[np.float64], begin: int, stenosis: float) -> NDArray[np.float64]:
    """Plaque narrows the last centimetre in front of the occlusion; without it the vessel is cut off bluntly."""
    distance_mm = (begin - np.arange(len(radius))) * SAMPLE_MM
    narrowing = stenosis * 0.75 * np.clip(1 - np.clip(distance_mm, 0, None) / 10, 0, 1)
    return np.asarray(radius * (1 - narrowing))


def _clotted(name: str, occlusion: Occlusion, size: int) -> slice:
    chain = _CHAIN[occlusion.site]
    if name not in chain:
        return slice(0, 0)
    before = sum(len(_sampled(other, "right")[0]) for other in chain[: chain.index(name)])
    begin = _begin(occlusion.site) - before
    return slice(max(begin, 0), int(np.clip(begin + round(occlusion.length_mm / SAMPLE_MM), 0, size)))


def _begin(site: str) -> int:
    begin = round(_BEGINS_MM[site] / SAMPLE_MM)
    return begin if begin >= 0 else len(_sampled(site, "right")[0]) + begin


def _sampled(name: str, side: str) -> tuple[Points, NDArray[np.float64]]:
    control, first_mm, last_mm = _LINES.get(name) or _MIDLINE[name]
    points = np.array(control, dtype=np.float64)
    chord = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    along = np.linspace(0.0, chord[-1], max(2, round(chord[-1] / SAMPLE_MM)))
    curve = CubicSpline(chord, points)(along)
    if side == "left":
        curve[:, 0] *= -1
    return curve, np.linspace(first_mm, last_mm, len(along))


def paint(
    shape: tuple[int, ...], points: Points, radius_mm: NDArray[np.float64], *, spacing_mm: Points, value: Points
) -> Float32:
    """Largest `value` times coverage of a tube in each voxel.

    Args:
        shape: of the grid.
        points: `(N, 3)` centre line in voxel indices of the grid.
        radius_mm: `(N,)` tube radius.
        spacing_mm: `(3,)` voxel size.
        value: `(N,)` what a fully covered voxel gets.

    Returns:
        `shape` float32, 0 away from the tube.
    """
    volume = np.zeros(int(np.prod(shape)), np.float32)
    if not len(points):
        return volume.reshape(shape)
    reach = np.ceil(radius_mm.max() / spacing_mm + 0.5).astype(int)
    offsets = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    index = np.rint(points).astype(int)[:, None, :] + offsets
    finest = spacing_mm.min()
    # Along a thick axis any place within the slice counts as its centre.
    gap_mm = np.clip(np.abs(index - points[:, None, :]) * spacing_mm - (spacing_mm - finest) / 2, 0, None)
    covered = np.clip((radius_mm[:, None] - np.linalg.norm(gap_mm, axis=-1)) / finest + 0.5, 0, 1)
    thin = np.minimum(1.0, 2 * radius_mm / spacing_mm.max())
    inside = np.all((index >= 0) & (index < np.array(shape)), axis=-1) & (covered > 0)
    flat = np.ravel_multi_index(tuple(index[inside].T), shape)
    np.maximum.at(volume, flat, (covered * (thin * value)[:, None])[inside].astype(np.float32))
    return volume.reshape(shape)
