"""Volumes of CT perfusion from a Tmax and a CBF map, as the clinical columns of the case table."""

from typing import Final

import numpy as np

from fpe_core.errors import CaseEmpty, CaseModalityWrong
from fpe_core.imaging.volume import Array, Mask, Matrix, Volume

TMAX_THRESHOLDS_S: Final = (4, 6, 10)
CORE_CBF_SHARE: Final = 0.3
"""Core is CBF below 30 % of normal tissue on the other side (Campbell et al., Stroke 2011)."""
_HIGHEST_S: Final = 60.0
_LOWEST_MS: Final = 1000.0
_FEWEST_REFERENCE_VOXELS: Final = 100


def perfusion_volumes(tmax: Volume, cbf: Volume | None) -> dict[str, float]:
    """`tmax_over_4_s_ml`, `tmax_over_6_s_ml`, `tmax_over_10_s_ml` and, where it can be told, `cbf_under_30_ml`.

    Voxels are counted in the head: where both maps are finite and CBF, if it lies on the same voxels, is positive.
    Core is counted within Tmax > 6 s, against the median CBF of the tissue with Tmax < 4 s on the other side of the
    head's middle; the affected side is the one with more Tmax > 6 s.

    Args:
        tmax: in seconds or milliseconds, told apart by its 99th percentile.
        cbf: in any unit, 0 outside the head; without it, or on other voxels, there is no core volume.

    Returns:
        Millilitres to one decimal, of what the maps cover.

    Raises:
        CaseEmpty: no positive voxel.
        CaseModalityWrong: the values are neither seconds nor milliseconds.
    """
    flow = cbf.data_xyz if cbf is not None and _same_voxels(tmax, cbf) else None
    head = np.isfinite(tmax.data_xyz) if flow is None else np.isfinite(tmax.data_xyz) & np.isfinite(flow) & (flow > 0)
    seconds = np.where(head, np.nan_to_num(tmax.data_xyz), 0) * np.float32(_to_seconds(tmax.data_xyz[head]))
    volumes = {
        f"tmax_over_{limit}_s_ml": round(float((seconds > limit).sum()) * tmax.voxel_ml, 1)
        for limit in TMAX_THRESHOLDS_S
    }
    if flow is not None and (core := _core(seconds, flow, head, tmax.affine_ras[0])) is not None:
        volumes["cbf_under_30_ml"] = round(float(core.sum()) * tmax.voxel_ml, 1)
    return volumes


def _to_seconds(values: Array) -> float:
    """Factor to seconds. Tmax of the slowest tissue is some tens of seconds, so thousands are milliseconds."""
    positive = values[values > 0]
    if not positive.size:
        raise CaseEmpty("tmax: no voxel in the head is positive")
    level = float(np.percentile(positive, 99))
    if level <= _HIGHEST_S:
        return 1.0
    if level >= _LOWEST_MS:
        return 1e-3
    raise CaseModalityWrong(f"tmax: a 99th percentile of {level:g} is neither seconds nor milliseconds")


def _core(seconds: Array, flow: Array, head: Mask, x_of_index: Matrix) -> Mask | None:
    """Voxels of the core; None where the other side has too little normal tissue to compare with."""
    slow = seconds > 6
    if not slow.any():
        return slow
    i, j, k = np.ogrid[tuple(slice(size) for size in seconds.shape)]
    x_mm = x_of_index[0] * i + x_of_index[1] * j + x_of_index[2] * k + x_of_index[3]
    right = x_mm > float(x_mm[head].mean())
    other = ~right if (slow & right).sum() > (slow & ~right).sum() else right
    reference = flow[head & other & (seconds < 4)]
    if reference.size < _FEWEST_REFERENCE_VOXELS:
        return None
    return slow & (flow < CORE_CBF_SHARE * float(np.median(reference)))


def _same_voxels(one: Volume, other: Volume) -> bool:
    return one.data_xyz.shape == other.data_xyz.shape and np.allclose(one.affine_ras, other.affine_ras, atol=1e-2)
