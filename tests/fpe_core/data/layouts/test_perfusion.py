"""Volumes against voxels that were counted when they were put there, in any orientation, unit and side."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpe_core.data.layouts.perfusion import perfusion_volumes
from fpe_core.errors import CaseEmpty, CaseModalityWrong
from fpe_core.imaging.volume import Volume

SHAPE = (20, 16, 6)
VOXEL_ML = 0.02


def maps(side: int = 0, counts: tuple[int, int, int, int] = (200, 120, 40, 30)) -> tuple[np.ndarray, np.ndarray]:
    """Tmax and CBF; `side` 0 has its slow tissue in the lower half of the first axis. Air surrounds the head."""
    tmax, cbf = np.full(SHAPE, 2, np.float32), np.full(SHAPE, 50, np.float32)
    half = np.zeros(SHAPE, bool)
    half[1:10] = True
    inside = np.zeros(SHAPE, bool)
    inside[1:-1, 1:-1, :] = True
    places = np.flatnonzero((half if side == 0 else half[::-1]) & inside)
    for count, value in zip(counts[:3], (5, 8, 12), strict=True):
        tmax.reshape(-1)[places[:count]] = value
    cbf.reshape(-1)[places[: counts[3]]] = 10
    for values in (tmax, cbf):
        values[~inside] = 0
    return tmax, cbf


def affine(*, flipped: bool = False) -> np.ndarray:
    matrix = np.diag([-2.0 if flipped else 2.0, 2.0, 5.0, 1.0])
    matrix[:3, 3] = (40, -30, 10)
    return matrix


@settings(deadline=None)
@given(
    slow=st.lists(st.integers(0, 300), min_size=3, max_size=3),
    core=st.integers(0, 300),
    side=st.sampled_from([0, 1]),
    flipped=st.booleans(),
    factor=st.sampled_from([1, 1000]),
)
def test_what_was_put_there_is_counted(slow: list[int], core: int, side: int, flipped: bool, factor: int) -> None:
    over_4, over_6, over_10 = sorted(slow, reverse=True)
    tmax, cbf = maps(side, (over_4, over_6, over_10, core))
    place = affine(flipped=flipped)
    volumes = perfusion_volumes(Volume(tmax * np.float32(factor), place), Volume(cbf, place))
    assert volumes == {
        "tmax_over_4_s_ml": round(over_4 * VOXEL_ML, 1),
        "tmax_over_6_s_ml": round(over_6 * VOXEL_ML, 1),
        "tmax_over_10_s_ml": round(over_10 * VOXEL_ML, 1),
        "cbf_under_30_ml": round(min(core, over_6) * VOXEL_ML, 1),
    }


def test_outside_the_head_nothing_counts() -> None:
    tmax, cbf = maps()
    tmax[0] = 30
    tmax[-1] = np.nan
    cbf[-1] = np.nan
    assert perfusion_volumes(Volume(tmax, affine()), Volume(cbf, affine()))["tmax_over_10_s_ml"] == 0.8


def test_without_cbf_on_the_same_voxels_there_is_no_core() -> None:
    tmax, cbf = maps()
    moved = affine()
    moved[0, 3] += 1
    for flow in (None, Volume(cbf[:-1], affine()), Volume(cbf, moved)):
        assert set(perfusion_volumes(Volume(tmax, affine()), flow)) == {
            "tmax_over_4_s_ml", "tmax_over_6_s_ml", "tmax_over_10_s_ml",
        }  # fmt: skip


def test_without_normal_tissue_to_compare_with_there_is_no_core() -> None:
    tmax, cbf = maps()
    tmax[tmax == 2] = 5
    assert "cbf_under_30_ml" not in perfusion_volumes(Volume(tmax, affine()), Volume(cbf, affine()))


def test_no_signal_and_other_units_are_refused() -> None:
    tmax, cbf = maps()
    with pytest.raises(CaseEmpty):
        perfusion_volumes(Volume(tmax * 0, affine()), Volume(cbf, affine()))
    with pytest.raises(CaseModalityWrong, match="neither seconds nor milliseconds"):
        perfusion_volumes(Volume(tmax * np.float32(10), affine()), None)
