"""Intensities that mean the same at every hospital."""

import numpy as np

from fpe_core.config.recipe import MrIntensities
from fpe_core.errors import CaseEmpty
from fpe_core.imaging.volume import Array, Mask, Volume


def clip_to_window(volume: Volume, window_hu: tuple[float, float]) -> Volume:
    """HU clipped to the window and scaled to 0-1; done before interpolation, so that bone does not bleed into brain."""
    low, high = window_hu
    return volume.with_data((np.clip(volume.data_xyz, low, high) - np.float32(low)) / np.float32(high - low))


def z_score(data_zyx: Array, mask_zyx: Mask) -> tuple[Array, float, float]:
    """Mean 0 and standard deviation 1 inside the mask, 0 outside; also gives the mean and deviation it took out.

    Raises:
        CaseEmpty: the image does not vary inside the mask.
    """
    inside = data_zyx[mask_zyx].astype(np.float64)
    mean, deviation = float(inside.mean()), float(inside.std())
    if not deviation > 0:
        raise CaseEmpty("the image does not vary inside the brain")
    scored = (data_zyx - np.float32(mean)) / np.float32(deviation)
    return np.where(mask_zyx, scored, np.float32(0)), mean, deviation


def match_histogram(
    data_zyx: Array, mask_zyx: Mask, percentiles: tuple[float, ...], reference: tuple[float, ...]
) -> Array:
    """Piecewise-linear map that takes the percentiles inside the mask to `reference` (Nyúl et al., IEEE TMI 2000).

    Beyond the first and last percentile the neighbouring piece goes on, without clipping. Outside the mask 0.
    """
    landmarks = np.percentile(data_zyx[mask_zyx], percentiles)
    landmarks = np.maximum.accumulate(landmarks + np.arange(len(landmarks)) * 1e-6)
    slopes = np.diff(reference) / np.diff(landmarks)
    piece = np.clip(np.searchsorted(landmarks, data_zyx, side="right") - 1, 0, len(slopes) - 1)
    matched = np.asarray(reference)[piece] + slopes[piece] * (data_zyx - landmarks[piece])
    return np.where(mask_zyx, matched, 0.0).astype(np.float32)


def reference_landmarks(settings: MrIntensities, sequence: str) -> tuple[float, ...] | None:
    """The stored landmarks of a sequence, in z-score units; none for one that is not matched."""
    by_sequence = {
        "dwi": settings.reference_dwi,
        "flair": settings.reference_flair,
        "adc": settings.reference_adc,
    }
    return by_sequence[sequence]
