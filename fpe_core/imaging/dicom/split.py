"""One series, several volumes: echoes, b-values, phases and localisers under one SeriesInstanceUID are told apart."""

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Final

import numpy as np

from fpe_core.imaging.dicom.headers import Frame
from fpe_core.imaging.volume import Matrix

SAME_PLACE_MM: Final = 0.02
"""Two slices nearer than this lie at one place; headers give positions to about a thousandth of a mm."""
_SAME_DIRECTION: Final = 2e-3
"""Largest difference of the components of two directions that count as one (0.1 degrees)."""
_FEW_REPEATS: Final = 1 / 3
"""Share of the places that must repeat before a series is taken for several volumes, not for one with doubles."""

_REPEATED_BY: Final[tuple[Callable[[Frame], Hashable], ...]] = (
    lambda frame: frame.temporal,
    lambda frame: frame.trigger_ms,
    lambda frame: frame.acquisition,
    lambda frame: frame.gradient,
    lambda frame: (frame.temporal, frame.gradient),
    lambda frame: (frame.acquisition, frame.gradient),
    lambda frame: frame.time_s,
)
"""What may tell the volumes apart where every place occurs several times; the first that does so wins."""


def split_volumes(frames: list[Frame]) -> list[list[Frame]]:
    """Frames of one SeriesInstanceUID as volumes, each in a fixed order; no frame is lost.

    Always apart: different size, orientation, pixel spacing, frame of reference, image type, echo time, b-value.
    Where places still repeat: by temporal position, trigger time, acquisition number, gradient, time, if one of them
    leaves no place twice. What cannot be told apart stays together, and reading it says so.
    """
    groups = [
        part
        for same in _by(frames, _kind)
        for by_direction in _by_direction(same)
        for part in _by_repeats(by_direction)
    ]
    return [sorted(group, key=lambda frame: (str(frame.path), frame.index)) for group in groups]


def normal_lps(orientation: tuple[float, ...]) -> Matrix:
    """`(3,)` unit normal of a slice: row direction × column direction."""
    normal = np.cross(orientation[:3], orientation[3:])
    length = np.linalg.norm(normal)
    return np.asarray(normal / length if length > 0 else normal, dtype=np.float64)


def depths_mm(frames: list[Frame]) -> Matrix:
    """`(N,)` places along the first frame's normal, in mm; every frame must have a position."""
    first = frames[0].orientation
    if first is None:
        return np.zeros(0)
    positions = np.array([frame.position_lps_mm for frame in frames], dtype=np.float64)
    depths: Matrix = positions @ normal_lps(first)
    return depths


def places_mm(frames: list[Frame]) -> Matrix:
    """Distinct places along the normal, sorted, in mm; empty where the frames do not say where they lie."""
    if not all(frame.position_lps_mm and frame.orientation for frame in frames):
        return np.zeros(0)
    depths = np.sort(depths_mm(frames))
    first_of_each: Matrix = depths[np.concatenate([[True], np.diff(depths) > SAME_PLACE_MM])]
    return first_of_each


def num_places(frames: list[Frame]) -> int:
    """How many slices a volume has; without positions, how many frames."""
    return len(places_mm(frames)) or len(frames)


def distance_of_slices(frames: list[Frame]) -> float:
    """Usual distance of neighbouring slices in mm; the slice thickness, or 0, where positions do not say."""
    places = places_mm(frames)
    return float(np.median(np.diff(places))) if len(places) > 1 else frames[0].thickness_mm or 0.0


def _kind(frame: Frame) -> Hashable:
    spacing = tuple(round(mm, 3) for mm in frame.pixel_spacing_mm or ())
    echo = None if frame.echo_time_ms is None else round(frame.echo_time_ms, 1)
    return frame.shape, spacing, frame.frame_of_reference, frame.image_type, echo, frame.b_value


def _by(frames: list[Frame], key: Callable[[Frame], Hashable]) -> list[list[Frame]]:
    groups: dict[Hashable, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(key(frame), []).append(frame)
    return list(groups.values())


def _by_direction(frames: list[Frame]) -> list[list[Frame]]:
    """Groups of one orientation; rounding would part directions that lie on either side of a step."""
    groups: list[tuple[tuple[float, ...], list[Frame]]] = []
    for frame in frames:
        mine = frame.orientation or ()
        for direction, group in groups:
            if len(direction) == len(mine) and np.allclose(direction, mine, rtol=0, atol=_SAME_DIRECTION):
                group.append(frame)
                break
        else:
            groups.append((mine, [frame]))
    return [group for _, group in groups]


def _by_repeats(frames: list[Frame]) -> list[list[Frame]]:
    places = places_mm(frames)
    if len(places) == 0:
        return [frames]
    counts = _occurrences(frames, places)
    if sum(count > 1 for count in counts.values()) < max(_FEW_REPEATS * len(places), 1):
        return [frames]
    # A sequential CT numbers every table position: what makes many more groups than places repeat is no phase.
    most = 2 * max(counts.values())
    for key in _REPEATED_BY:
        groups = _by(frames, key)
        if 1 < len(groups) <= most and all(max(_occurrences(g, places).values()) == 1 for g in groups):
            return groups
    return [frames]


def _occurrences(frames: list[Frame], places: Matrix) -> Counter[int]:
    nearest = np.searchsorted(places + SAME_PLACE_MM, depths_mm(frames))
    return Counter(nearest.tolist())
