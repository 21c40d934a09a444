"""Whether slices lie at one distance, and what to do where they do not.

Three things happen to real series. One or two slices were lost on the way: they are filled in. A protocol had thin
slices at the skull base and thick ones above, common in older CT: the thick part is brought to the thin one's distance.
More is missing: the series is refused, because nobody saw what lies between.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fpe_core.errors import CaseSlicesInconsistent, CaseSlicesMissing
from fpe_core.imaging.volume import Array, Matrix

MOST_FILLED: Final = 2
"""Slices that may be filled in."""
_UNEVEN: Final = 0.1
"""Share of the distance by which a slice may lie off and still count as evenly spaced."""
_ROUNDING_MM: Final = 0.055
"""Scanners that write positions to a tenth of a mm put a slice off by half of that."""
_CLOSEST: Final = 0.25
"""Two slices nearer than this share of the usual distance belong to different acquisitions."""


@dataclass(frozen=True, eq=False)
class SlicePlan:
    """Even places for a series' slices.

    Attributes:
        places_mm: `(M,)` along the normal, evenly spaced.
        step_mm: their distance.
        interpolated: whether the slices as acquired lie elsewhere.
        notes: what was done, as sentences.
    """

    places_mm: Matrix
    step_mm: float
    interpolated: bool
    notes: tuple[str, ...]


def plan_slices(places_mm: Matrix, thickness_mm: list[float | None]) -> SlicePlan:
    """Plan even slices.

    Args:
        places_mm: `(N,)` distinct places along the normal, rising, N at least 2.
        thickness_mm: of each slice; it tells slices that were lost from slices that were planned further apart.

    Raises:
        CaseSlicesMissing: more slices are missing than `MOST_FILLED`, or neighbouring ones.
        CaseSlicesInconsistent: two slices lie too close to belong to one acquisition.
    """
    gaps = np.diff(places_mm)
    usual = _usual_gaps(gaps, thickness_mm)
    if gaps.min() < _CLOSEST * usual.min():
        raise CaseSlicesInconsistent(
            f"two slices lie {gaps.min():.2f} mm apart, where {usual.min():.2f} mm are usual in this series"
        )
    filled = _num_missing(gaps, usual)
    step = float(usual.min())
    tolerance_mm = np.maximum(_UNEVEN * usual, 2 * _ROUNDING_MM)
    off_mm = np.abs(gaps - usual * np.maximum(np.round(gaps / usual), 1))
    even = float(np.ptp(usual)) < _UNEVEN * step and bool(np.all(off_mm <= tolerance_mm))
    if even and filled == 0 and (fitted := _fitted(places_mm)) is not None:
        return fitted
    notes = [f"{filled} missing slice{'s' if filled > 1 else ''} filled in from both neighbours"] if filled else []
    if not even and len(set(usual.tolist())) == 1:
        step = float(gaps.min())
    length = float(places_mm[-1] - places_mm[0])
    count = max(round(length / step), 1)
    if not even or filled == 0:
        notes.append(f"slices lie {gaps.min():.2f} to {gaps.max():.2f} mm apart; resampled to {length / count:.2f} mm")
    return SlicePlan(np.linspace(places_mm[0], places_mm[-1], count + 1), length / count, True, tuple(notes))


def resampled(stack: Array, places_mm: Matrix, plan: SlicePlan) -> Array:
    """`(M, rows, columns)` float32: the slices `(N, rows, columns)` at `places_mm`, linearly at the plan's places."""
    after = np.clip(np.searchsorted(places_mm, plan.places_mm), 1, len(places_mm) - 1)
    share = (plan.places_mm - places_mm[after - 1]) / (places_mm[after] - places_mm[after - 1])
    result = np.empty((len(after), *stack.shape[1:]), dtype=np.float32)
    for k, (right, weight) in enumerate(zip(after, np.clip(share, 0, 1).astype(np.float32), strict=True)):
        result[k] = (1 - weight) * stack[right - 1] + weight * stack[right]
    return result


def _usual_gaps(gaps: Matrix, thickness_mm: list[float | None]) -> Matrix:
    """`(N-1,)` the distance to expect of each gap: the usual one between slices as thick as the two beside it."""
    thick = np.array([round(t, 1) if t else 0.0 for t in thickness_mm])
    usual = _low_quartile(gaps)
    if len(set(thick.tolist())) == 1:
        return np.full(len(gaps), usual)
    inside = thick[:-1] == thick[1:]
    by_thickness = {t: _low_quartile(gaps[inside & (thick[:-1] == t)]) for t in set(thick[:-1][inside].tolist())}
    pairs = zip(thick[:-1].tolist(), thick[1:].tolist(), strict=True)
    return np.array([max(by_thickness.get(a, usual), by_thickness.get(b, usual)) for a, b in pairs])


def _low_quartile(gaps: Matrix) -> float:
    """The usual gap also where half of the gaps are twice as wide because slices were lost."""
    return float(np.percentile(gaps, 25, method="lower"))


def _num_missing(gaps: Matrix, usual: Matrix) -> int:
    """How many slices are missing, each alone between two that are there."""
    steps = gaps / usual
    wide: NDArray[np.int64] = np.flatnonzero(steps > 2 - _UNEVEN)
    lost = int(np.sum(np.round(steps[wide]) - 1))
    alone = bool(np.all(steps[wide] < 2 + _UNEVEN)) and not np.any(np.diff(wide) == 1)
    if lost > MOST_FILLED or not alone:
        raise CaseSlicesMissing(
            f"about {lost} slices are missing; at most {MOST_FILLED} that are not neighbours can be filled in",
            hint="export the series again; the PACS or the archive may not have sent all of it",
        )
    return lost


def _fitted(places_mm: Matrix) -> SlicePlan | None:
    """The slices as they are at the distance that fits all best; None where small differences add up."""
    index = np.arange(len(places_mm))
    step, first = np.polyfit(index, places_mm, 1)
    places = first + step * index
    if np.abs(places - places_mm).max() > max(_UNEVEN * step, _ROUNDING_MM):
        return None
    return SlicePlan(places, float(step), False, ())
