"""Linear registration with ANTs: affine to MNI152, rigid between the sequences of one case."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fpe_core.config.recipe import RegistrationSettings
from fpe_core.errors import CaseRegistrationFailed
from fpe_core.imaging.ants_library import ants
from fpe_core.imaging.geometry import block_factors, block_mean, inverted, itk_frame, matrix_from_itk
from fpe_core.imaging.template import load_template
from fpe_core.imaging.volume import Mask, Matrix, Volume

_SMOOTHING_VOXELS = {1: 0, 2: 1}
_SAME_PLACE_MM = 20.0
MIN_SCALE, MAX_SCALE = 0.7, 1.4


def register_to_template(brain: Volume, settings: RegistrationSettings) -> Matrix:
    """`(4, 4)` native RAS+ mm to MNI RAS+ mm.

    Args:
        brain: brain-only image, everything else 0.
        settings: see `RegistrationSettings`.

    Raises:
        CaseRegistrationFailed: ANTs stopped, or the result shrinks or stretches a head by more than people differ.
    """
    found = inverted(
        _ants(load_template(settings.spacing_mm).t1, brain, settings, kinds=("Similarity", "Affine"), start=None)
    )
    scales = np.linalg.svd(found[:3, :3], compute_uv=False)
    if scales.min() < MIN_SCALE or scales.max() > MAX_SCALE or np.linalg.det(found[:3, :3]) <= 0:
        raise CaseRegistrationFailed(f"scales to the template should lie in 0.7 to 1.4, got {np.round(scales, 2)}")
    return found


def register_rigid(fixed_brain: Volume, moving_brain: Volume, settings: RegistrationSettings) -> Matrix:
    """`(4, 4)` from `moving_brain`'s RAS+ mm to `fixed_brain`'s, rotation and translation only.

    Starts where the scanner put the images, or at their centres of mass when these lie more than 20 mm apart (another
    table position).
    """
    near = float(np.linalg.norm(_centre_of_mass(fixed_brain) - _centre_of_mass(moving_brain))) < _SAME_PLACE_MM
    coarse = block_mean(fixed_brain, block_factors(fixed_brain, settings.spacing_mm))
    start = "Identity" if near else None
    return inverted(_ants(coarse, moving_brain, settings, kinds=("Rigid",), start=start))


def brain_only(volume: Volume, brain_xyz: Mask, percentile: float = 99.0) -> Volume:
    """`volume` inside the mask, clipped at a percentile so that a bright lesion does not take all histogram bins."""
    if not brain_xyz.any():
        raise CaseRegistrationFailed("no brain was found to register")
    top = float(np.percentile(volume.data_xyz[brain_xyz], percentile))
    return volume.with_data(np.where(brain_xyz, np.clip(volume.data_xyz, 0, top), np.float32(0)))


def _ants(
    fixed: Volume, moving: Volume, settings: RegistrationSettings, *, kinds: tuple[str, ...], start: str | None
) -> Matrix:
    """Point transform from `fixed` to `moving` in RAS+ mm, which is the direction in which ANTs resamples.

    Each of `kinds` starts where the one before ended: few parameters find a large rotation, many stop short of it.
    """
    images = _to_ants(fixed), _to_ants(moving)
    with tempfile.TemporaryDirectory(prefix="fpe-registration-") as folder:
        try:
            for number, kind in enumerate(kinds, start=1):
                levels = settings if number == len(kinds) else _without_finest_level(settings)
                start = _stage(*images, levels, kind=kind, start=start, prefix=str(Path(folder) / f"stage-{number}-"))
            transform = ants.read_transform(start)
        except (RuntimeError, ValueError, IndexError) as error:
            raise CaseRegistrationFailed(f"ANTs could not register the image ({type(error).__name__})") from error
    return matrix_from_itk(np.asarray(transform.parameters), np.asarray(transform.fixed_parameters))


def _without_finest_level(settings: RegistrationSettings) -> RegistrationSettings:
    """For a stage that only has to bring the next one near."""
    keep = max(1, len(settings.iterations) - 1)
    coarse = {"iterations": settings.iterations[:keep], "shrink_factors": settings.shrink_factors[:keep]}
    return settings.model_copy(update=coarse)


def _stage(
    fixed: Any, moving: Any, settings: RegistrationSettings, *, kind: str, start: str | None, prefix: str
) -> str:
    """Run one stage; the path of the transform that it found, `start` included."""
    # The public way to set the seed also reseeds Python's and NumPy's own generators, which is not ours to do.
    ants.config._random_seed = settings.seed
    found = ants.registration(
        fixed,
        moving,
        type_of_transform=kind,
        initial_transform=start,
        outprefix=prefix,
        aff_metric=settings.metric,
        aff_sampling=settings.histogram_bins,
        aff_random_sampling_rate=settings.sampling_rate,
        aff_iterations=settings.iterations,
        aff_shrink_factors=settings.shrink_factors,
        aff_smoothing_sigmas=[_SMOOTHING_VOXELS.get(shrink, 2) for shrink in settings.shrink_factors],
        singleprecision=False,
    )
    return str(found["fwdtransforms"][0])


def _to_ants(volume: Volume) -> Any:
    origin, spacing, direction = itk_frame(volume.affine_ras)
    return ants.from_numpy(
        volume.data_xyz, origin=origin.tolist(), spacing=spacing.tolist(), direction=np.ascontiguousarray(direction)
    )


def _centre_of_mass(volume: Volume) -> Matrix:
    """`(3,)` RAS+ mm."""
    weights = np.maximum(volume.data_xyz, 0).astype(np.float64)
    total = weights.sum()
    index = [
        float((weights.sum(axis=tuple(a for a in range(3) if a != axis)) * np.arange(size)).sum() / total)
        for axis, size in enumerate(weights.shape)
    ]
    place: Matrix = (volume.affine_ras @ np.array([*index, 1.0]))[:3]
    return place
