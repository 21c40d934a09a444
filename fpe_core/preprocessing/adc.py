"""Apparent diffusion coefficient: units, and the map itself where the scanner did not deliver one."""

import numpy as np

from fpe_core.errors import CaseModalityWrong, CaseSpacingImpossible
from fpe_core.imaging.volume import Volume

B_VALUE_S_PER_MM2 = 1000.0
MAX_ADC_1E3 = 5.0
"""Free water at body temperature has 3.1; above 5 it is noise. Unit 10⁻³ mm²/s."""

_UNITS = ((0.15, 6.0, 1.0), (150.0, 6000.0, 1e-3), (0.15e-3, 6e-3, 1e3))
"""Range in which the upper values of a brain lie for 10⁻³, 10⁻⁶ and plain mm²/s, and the factor to 10⁻³ mm²/s."""


def normalise_adc_unit(adc: Volume) -> tuple[Volume, float]:
    """ADC in 10⁻³ mm²/s whatever unit it was stored in, and the factor that was applied.

    The 90th percentile of the positive voxels tells the units apart: it lies in brain or CSF, at 0.6-3 × 10⁻³ mm²/s,
    whether the air around is zero or noise.

    Raises:
        CaseModalityWrong: the values fit none of the three units.
    """
    positive = adc.data_xyz[adc.data_xyz > 0]
    level = float(np.percentile(positive, 90)) if positive.size else 0.0
    for low, high, factor in _UNITS:
        if low <= level <= high:
            return adc.with_data(np.clip(adc.data_xyz * np.float32(factor), 0.0, MAX_ADC_1E3)), factor
    raise CaseModalityWrong(f"adc: a 90th percentile of {level:g} fits neither 10⁻⁶, 10⁻³ nor plain mm²/s")


def adc_from_b_values(b0: Volume, b1000: Volume) -> Volume:
    """ADC = −ln(S_b1000 / S_b0) / 1000 (UCLA protocol, AJNR 2024), in 10⁻³ mm²/s, clipped to 0-5.

    Voxels without signal in either image (below 1 % of b0's 99th percentile) get 0.

    Raises:
        CaseSpacingImpossible: the two images do not share one voxel grid.
    """
    if b0.data_xyz.shape != b1000.data_xyz.shape or not np.allclose(b0.affine_ras, b1000.affine_ras, atol=1e-2):
        raise CaseSpacingImpossible("b0 and b1000 should lie on one voxel grid for an ADC map")
    floor = 0.01 * float(np.percentile(b0.data_xyz, 99))
    signal = (b0.data_xyz > floor) & (b1000.data_xyz > 0)
    ratio = np.divide(b1000.data_xyz, b0.data_xyz, out=np.ones_like(b0.data_xyz), where=signal)
    adc_1e3 = -np.log(ratio) * np.float32(1e3 / B_VALUE_S_PER_MM2)
    return b0.with_data(np.clip(adc_1e3, 0.0, MAX_ADC_1E3))
