"""Numbers by which a scan that is not what its column says, or not good enough, is told from a usable one.

All of them are looked up at points of the template's brain, taken to the scan as read by the transform that the
pipeline found. So they mean the same on every grid, and a scan may be sheared or cover a part of the head only.
The limits stand in `fpe_core.preprocessing.gate`.
"""

from collections.abc import Mapping

import numpy as np

from fpe_core.config.recipe import Grid
from fpe_core.imaging.geometry import grid_affine_ras
from fpe_core.imaging.volume import Array, Mask, Matrix, Volume
from fpe_core.preprocessing.glance import Glance
from fpe_core.preprocessing.motion import ghost_ratio, interleave, slice_break, slice_jump
from fpe_core.preprocessing.noise import noise_sd
from fpe_core.preprocessing.pipeline import Output
from fpe_core.preprocessing.probe import Indices, Landing, brain_probe, values_at
from fpe_core.preprocessing.quality import scales

CT = ("ncct", "cta")
_STANDS_IN = {"dwi": "b1000"}
"""Files that a sequence is read from when it has none of its own."""
_ORDER = ("ncct", "cta", "dwi", "flair", "adc")
"""The first one that a case has is what the others are compared with, as in the pipelines."""
_TISSUE_HU = (0.0, 100.0)
_SHIFTS_MM = (-16.0, -8.0, 8.0, 16.0)
_BETTER = 1.1
"""A shifted scan has to be this much more similar to the template before it counts as lying there."""
_MIDLINE_MM = 3.0
_SLOW_MM = 20.0
_BINS = 24
_LEAST_POINTS = 500
_AIR_BELOW_HU = -500.0
_LEAST_AIR = 0.01
_SEEN = 50.0
"""Largest ratio that is reported: beyond it a number says no more."""


def measure(glances: Mapping[str, Glance], output: Output, grid: Grid) -> dict[str, float]:
    """Numbers of one case, all finite, named `<number>_<sequence>`. About 0.1 s for each sequence.

    A sequence of which a number is not finite has none at all: the gate then asks for a person.

    Args:
        glances: of the scans as read, by the name of their column.
        output: what the pipeline made of them.
        grid: of the recipe.
    """
    scans = {name: _landing(name, glances, output, grid) for name in _ORDER if name in output.unmasked}
    numbers: dict[str, float] = {}
    for name, (scan, acquired) in scans.items():
        found = _of_every_image(scan, ct=name in CT)
        if acquired:
            found |= _of_every_scan(scan) | (_of_ct(scan, name) if name in CT else _of_mr(scan))
        reference = next(iter(scans))
        if name != reference:
            found["same_side"] = same_side(scans[reference][0], scan, ct=name in CT, opposite=name == "adc")
        if np.isfinite(list(found.values())).all():
            numbers |= {f"{number}_{name}": value for number, value in found.items()}
    numbers["stretch"] = stretch(next(iter(scans.values()))[0].mni_from_native)
    if "adc" in output.unmasked and output.mask_zyx.any():
        numbers["brain_adc"] = float(np.median(output.unmasked["adc"][output.mask_zyx]))
    return {name: round(value, 4) for name, value in sorted(numbers.items()) if np.isfinite(value)}


def _landing(name: str, glances: Mapping[str, Glance], output: Output, grid: Grid) -> tuple[Landing, bool]:
    """A sequence as acquired, and True; one that was computed from others as it lies on the grid, and False."""
    seen = glances.get(name) or glances.get(_STANDS_IN.get(name, ""))
    if seen is not None:
        return Landing(seen, output.mni_from_native[name]), True
    image = Volume(output.unmasked[name].transpose(2, 1, 0), grid_affine_ras(grid))
    return Landing(Glance(image, image, image, 0.0, 0, 0.0), np.eye(4)), False


def _of_every_image(scan: Landing, *, ct: bool) -> dict[str, float]:
    return {"coverage": coverage(scan), "upright": upright(scan, ct=ct), "offset_mm": offset_mm(scan, ct=ct)}


def _of_every_scan(scan: Landing) -> dict[str, float]:
    return {
        "interleave": interleave(scan),
        "slice_break": slice_break(scan),
        "saturated": saturated(scan),
        "levels": levels(scan),
        "num_slices": float(scan.glance.num_slices),
        "thickness_mm": scan.glance.thickness_mm,
    }


def _of_ct(scan: Landing, name: str) -> dict[str, float]:
    found = {"brain_hu": brain_hu(scan), "vessel_hu": vessel_hu(scan), "noise_hu": noise_sd(scan)}
    air = air_hu(scan)
    if air is not None:
        found["air_hu"] = air
    if name == "ncct":
        found["csf_hu"] = csf_hu(scan)
    return found


def _of_mr(scan: Landing) -> dict[str, float]:
    return {"snr": snr(scan), "ghost": ghost_ratio(scan), "slice_jump": slice_jump(scan)}


def coverage(scan: Landing) -> float:
    """Share (0-1) of the template's brain that lies inside the scan; planes of one value at its ends do not count."""
    average = scan.glance.average
    start, stop = _filled_box(average.data_xyz)
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    affine = average.affine_ras.copy()
    affine[:3, 3] = (affine @ np.array([*start, 1.0]))[:3]
    filled = Volume(average.data_xyz[box], affine)
    if filled.data_xyz.size == 0:
        return 0.0
    return float(values_at(brain_probe().points_mm, filled, scan.mni_from_native)[1].mean())


def _filled_box(data: Array) -> tuple[list[int], list[int]]:
    start, stop = [], []
    for axis in range(3):
        rest = tuple(other for other in range(3) if other != axis)
        varied = np.flatnonzero(data.max(axis=rest) > data.min(axis=rest))
        start.append(int(varied[0]) if varied.size else 0)
        stop.append(int(varied[-1]) + 1 if varied.size else 0)
    return start, stop


def upright(scan: Landing, *, ct: bool) -> float:
    """How much more the scan resembles the template than its versions that stand on their head, look backwards or
    both: ratio of mutual information deep in the brain, at most 50. Below 1 another version fits better.
    """
    probe = brain_probe()
    points, t1 = probe.points_mm[probe.deep], probe.t1[probe.deep]
    middle = points.mean(axis=0)
    straight = _similarity(scan, points, t1, ct=ct)
    turned = [
        _similarity(scan, (points - middle) * flip + middle, t1, ct=ct)
        for flip in ((1, 1, -1), (1, -1, 1), (1, -1, -1))
    ]
    return _ratio(straight, max(turned))


def offset_mm(scan: Landing, *, ct: bool) -> float:
    """How far along an axis the scan would have to move to resemble the template better: 0, 8 or 16 mm."""
    probe = brain_probe()
    points, t1 = probe.points_mm[::2], probe.t1[::2]
    best, where = _BETTER * _similarity(scan, points, t1, ct=ct), 0.0
    for axis in range(3):
        for shift in _SHIFTS_MM:
            moved = _similarity(scan, points + shift * np.eye(3)[axis], t1, ct=ct)
            if moved > best:
                best, where = moved, abs(shift)
    return where


def same_side(reference: Landing, scan: Landing, *, ct: bool, opposite: bool = False) -> float:
    """Correlation (-1 to 1) of the left-right differences of two sequences of the case.

    No brain is symmetric, and each sequence shows the same asymmetry: well above 0 in one head, around 0 in two heads,
    below 0 where one image is mirrored. No template is involved, as that of MNI152 is symmetric. Coil sensitivity,
    which varies over centimetres, is taken out first.

    Args:
        reference: the sequence that the case was registered by.
        scan: another one.
        ct: whether they are CT.
        opposite: one of the two is dark where the other is bright, as ADC against the rest.
    """
    points = brain_probe().points_mm
    first, seen = _asymmetry(reference, ct=ct)
    second, seen_too = _asymmetry(scan, ct=ct)
    right = seen & seen_too & (points[:, 0] > _MIDLINE_MM)
    if right.sum() < _LEAST_POINTS:
        return 0.0
    a, b = (values[right] - values[right].mean() for values in (first, second))
    found = float((a * b).sum()) / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-9)
    return -found if opposite else found


def _asymmetry(scan: Landing, *, ct: bool) -> tuple[Array, Mask]:
    """At each point: its value minus that of its mirror point, clipped, without what varies slowly."""
    probe = brain_probe()
    here, seen = _tissue(scan, probe.points_mm, ct=ct)
    there, seen_there = _tissue(scan, probe.points_mm * np.array([-1.0, 1.0, 1.0]), ct=ct)
    difference = here - there
    difference = np.clip(difference, *np.percentile(difference, (2, 98)))
    return difference - probe.smoothed(difference, _SLOW_MM), seen & seen_there


def stretch(mni_from_native: Matrix) -> float:
    """Largest over smallest factor by which a `(4, 4)` transform stretches: heads differ in shape by a tenth or two."""
    factors = scales(mni_from_native)
    return float(factors.max() / factors.min())


def saturated(scan: Landing) -> float:
    """Share (0-1) of the voxels above the scan's median brain value that hold exactly its largest value: an image
    that was saved with a window has many, a scan hardly any.
    """
    inside, _ = scan.voxels_at(brain_probe().points_mm)
    data = scan.glance.sparse.data_xyz
    above = data[data > np.median(inside)]
    return float((above >= scan.glance.largest).mean()) if above.size else 1.0


def levels(scan: Landing) -> float:
    """Number of different values in the brain (at most as many as points): an 8-bit or narrow-window copy has few."""
    inside, seen = scan.voxels_at(brain_probe().points_mm)
    return float(np.unique(inside[seen]).size)


def brain_hu(scan: Landing) -> float:
    """Median deep in the brain, in HU: 25 to 40 without contrast medium."""
    return _median(scan, brain_probe().deep)


def csf_hu(scan: Landing) -> float:
    """2nd percentile of the 3 mm average deep in the brain, in HU: the ventricles, 0 to 20 with partial volume."""
    probe = brain_probe()
    inside, seen = scan.average_at(probe.points_mm[probe.deep])
    return float(np.percentile(inside[seen], 2)) if seen.any() else 0.0


def vessel_hu(scan: Landing) -> float:
    """99.8th percentile of the 3 mm average deep in the brain, in HU: enhanced vessels in a CTA, tissue in an NCCT."""
    probe = brain_probe()
    inside, seen = scan.average_at(probe.points_mm[probe.deep])
    return float(np.percentile(inside[seen], 99.8)) if seen.any() else 0.0


def air_hu(scan: Landing) -> float | None:
    """Median of what lies below −500 HU, in HU: −1000. None where the air was cut away."""
    data = scan.glance.sparse.data_xyz
    air = data[data < _AIR_BELOW_HU]
    return float(np.median(air)) if air.size > _LEAST_AIR * data.size else None


def snr(scan: Landing) -> float:
    """Median of white matter over the noise's standard deviation, per voxel, at most 500."""
    return min(_median(scan, brain_probe().white) / max(noise_sd(scan), 1e-9), 500.0)


def _median(scan: Landing, where: Mask) -> float:
    inside, seen = scan.voxels_at(brain_probe().points_mm[where])
    return float(np.median(inside[seen])) if seen.any() else 0.0


def _similarity(scan: Landing, points_mm: Matrix, t1: Array, *, ct: bool) -> float:
    values, seen = _tissue(scan, points_mm, ct=ct)
    return _information(values[seen], t1[seen])


def _tissue(scan: Landing, points_mm: Matrix, *, ct: bool) -> tuple[Array, Mask]:
    values, seen = scan.average_at(points_mm)
    return np.clip(values, *_TISSUE_HU) if ct else values, seen


def _information(first: Array, second: Array) -> float:
    """Mutual information of paired samples in nats, 24 × 24 bins from the 1st to the 99th percentile; 0 for few."""
    if first.size < _LEAST_POINTS:
        return 0.0
    joint = np.bincount(_bin(first) * _BINS + _bin(second), minlength=_BINS * _BINS).reshape(_BINS, _BINS)
    share = joint / joint.sum()
    independent = share.sum(axis=1, keepdims=True) * share.sum(axis=0, keepdims=True)
    seen = share > 0
    return float((share[seen] * np.log(share[seen] / independent[seen])).sum())


def _bin(values: Array) -> Indices:
    low, high = np.percentile(values, (1, 99))
    bins: Indices = np.clip((values - low) * (_BINS / max(float(high - low), 1e-9)), 0, _BINS - 1).astype(np.int64)
    return bins


def _ratio(above: float, below: float) -> float:
    return min(above / max(below, 1e-6), _SEEN) if above > 0 else 0.0
