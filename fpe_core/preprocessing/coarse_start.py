"""Where the registration to the template starts: a search on coarse voxels over many rotations.

A descent from one start finds its way from about 25° only, and from less where a CT carries a piece of neck. So all
starts are scored by mutual information, the best are followed a little way and the best of those to its end, over
rotation, shift and one scale. Every voxel counts and nothing is drawn: the same image gives the same start.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import ndimage
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from fpe_core.errors import CaseRegistrationFailed
from fpe_core.imaging.geometry import block_factors, block_mean, inverted
from fpe_core.imaging.template import load_template
from fpe_core.imaging.volume import Array, Matrix, Volume

_SPACING_MM = 10
_SMOOTHING_MM = 5.0
_MARGIN_VOXELS = 2
_BINS = 24
_TURNS_DEG = (-25.0, 0.0, 25.0)
_OFFSETS_MM = np.array(
    [[0.0, 0, 0], [0.0, -8, 12], [0.0, -12, 28], [0.0, -20, 24], [0.0, -20, 40], [0.0, 0, -12]], dtype=np.float64
)
"""Right, anterior, superior in the head. A CT's brain mask holds some neck and face, which draw the centre of mass down
and forward; where lower slices are missing it lies too high."""
_TRIED = 6
_FIRST_STEPS, _LAST_STEPS = 70, 250
_REACH = np.diag([0.1, 0.1, 0.1, 10.0, 10.0, 10.0, 0.05])
"""First steps in radians, in mm, and in the logarithm of the scale."""
_IN_DOUBT = 0.85
"""Share of the upright head's score from which a lying one is followed to its end as well."""
_UPRIGHT_DEG = 60.0
_TOLERANCE = {"xtol": 5e-3, "ftol": 1e-4}


@dataclass(frozen=True, eq=False)
class _Pose:
    """Rotation, shift of the centre of mass in mm, logarithm of the scale, and how well that fits, in nats."""

    rotation: Matrix
    shift_mm: Matrix
    log_scale: float
    score: float


def coarse_start(brain: Volume) -> Matrix:
    """`(4, 4)` similarity from MNI RAS+ mm to native RAS+ mm, from which the affine registration descends.

    Args:
        brain: brain-only image, everything else 0.

    Raises:
        CaseRegistrationFailed: the head fits the template when it lies on its side, on its face or upside down only.
            A scanner writes where up is; a header that got it wrong cannot be trusted about left and right either.
    """
    likeness = _Likeness(brain)
    found = _descended(likeness, _best(likeness, _upright()), _LAST_STEPS)
    other = _best(likeness, _lying())
    if other.score > _IN_DOUBT * found.score:
        found = max(found, _descended(likeness, other, _LAST_STEPS), key=_score)
    if np.degrees(Rotation.from_matrix(found.rotation).magnitude()) > _UPRIGHT_DEG:
        raise CaseRegistrationFailed(
            "the head should lie as its header says, but fits the template when it is turned by 90° or 180°",
            hint="the orientation in the file is wrong, left and right with it: convert the scan again from its source",
        )
    return likeness.matrix(found)


class _Likeness:
    """Mutual information of template and brain under a similarity transform.

    The template's voxels are points whose values are bins; the brain is interpolated there, and each value is shared
    between its two nearest bins, so that the score changes smoothly.
    """

    def __init__(self, brain: Volume) -> None:
        fixed = load_template(_SPACING_MM).t1
        moving = block_mean(brain, block_factors(brain, _SPACING_MM))
        self._fixed_centre, self._moving_centre = centre_of_mass(fixed), centre_of_mass(moving)
        wide = _smooth(fixed)
        self._fixed_bin = np.minimum(wide / wide.max() * _BINS, _BINS - 1).astype(np.intp).ravel()
        index = np.indices(wide.shape).reshape(3, -1) - _MARGIN_VOXELS
        places = fixed.affine_ras[:3, :3] @ index + fixed.affine_ras[:3, 3:]
        self._from_centre = places - self._fixed_centre[:, None]
        values = _smooth(moving)
        self._moving = values / values.max() * (_BINS - 1)
        self._index_from_mm = inverted(moving.affine_ras)

    def matrix(self, pose: _Pose) -> Matrix:
        """`(4, 4)` MNI RAS+ mm to native RAS+ mm."""
        found = np.eye(4)
        found[:3, :3] = np.exp(pose.log_scale) * pose.rotation
        found[:3, 3] = self._moving_centre + pose.shift_mm - found[:3, :3] @ self._fixed_centre
        return found

    def at(self, rotation: Matrix, shift_mm: Matrix, log_scale: float = 0.0) -> _Pose:
        """A pose with its score."""
        return _Pose(rotation, shift_mm, log_scale, self._score(rotation, shift_mm, float(np.exp(log_scale))))

    def _score(self, rotation: Matrix, shift_mm: Matrix, scale: float) -> float:
        linear = self._index_from_mm[:3, :3] @ (scale * rotation)
        centre = self._index_from_mm[:3, :3] @ (self._moving_centre + shift_mm) + self._index_from_mm[:3, 3]
        index = linear @ self._from_centre + (centre + _MARGIN_VOXELS)[:, None]
        value = ndimage.map_coordinates(self._moving, index, order=1, prefilter=False)
        lower = np.minimum(value.astype(np.intp), _BINS - 2)
        share = value - lower
        cell = self._fixed_bin * _BINS + lower
        joint = np.bincount(cell, 1 - share, _BINS**2) + np.bincount(cell + 1, share, _BINS**2)
        joint = joint.reshape(_BINS, _BINS) / joint.sum()
        independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
        seen = joint > 0
        return float((joint[seen] * np.log(joint[seen] / independent[seen])).sum())


def _best(likeness: _Likeness, rotations: list[Matrix]) -> _Pose:
    """The best pose near one of `rotations`, a few steps down from each that looks good at first."""
    first = [
        max((likeness.at(rotation, rotation @ offset) for offset in _OFFSETS_MM), key=_score) for rotation in rotations
    ]
    promising = sorted(first, key=_score, reverse=True)[:_TRIED]
    return max((_descended(likeness, pose, _FIRST_STEPS) for pose in promising), key=_score)


def _descended(likeness: _Likeness, start: _Pose, steps: int) -> _Pose:
    """A better pose, after at most `steps` looks (Powell's method: no derivatives, robust on a bumpy score)."""

    def pose(change: Matrix) -> _Pose:
        turned = Rotation.from_rotvec(change[:3]).as_matrix() @ start.rotation
        return likeness.at(turned, start.shift_mm + change[3:6], start.log_scale + float(change[6]))

    # SciPy changes the directions in place.
    options = {"maxfev": steps, "direc": _REACH.copy(), **_TOLERANCE}
    found = minimize(lambda change: -pose(change).score, np.zeros(7), method="Powell", options=options)
    return max(pose(found.x), start, key=_score)


def _score(pose: _Pose) -> float:
    return pose.score


def _upright() -> list[Matrix]:
    return [Rotation.from_euler("xyz", turns, degrees=True).as_matrix() for turns in product(_TURNS_DEG, repeat=3)]


def _lying() -> list[Matrix]:
    """The 23 other ways to lay a cube down."""
    return [turn for turn in Rotation.create_group("O").as_matrix() if not np.allclose(turn, np.eye(3))]


def _smooth(volume: Volume) -> Array:
    """With a margin of nothing around, so that what leaves the image counts against a pose."""
    wide = np.pad(np.maximum(volume.data_xyz, 0), _MARGIN_VOXELS)
    smooth: Array = ndimage.gaussian_filter(wide, _SMOOTHING_MM / volume.spacing_mm, mode="constant")
    return smooth


def centre_of_mass(volume: Volume) -> Matrix:
    """`(3,)` RAS+ mm."""
    weights = np.maximum(volume.data_xyz, 0).astype(np.float64)
    total = weights.sum()
    index = [
        float((weights.sum(axis=tuple(a for a in range(3) if a != axis)) * np.arange(size)).sum() / total)
        for axis, size in enumerate(weights.shape)
    ]
    place: Matrix = (volume.affine_ras @ np.array([*index, 1.0]))[:3]
    return place
