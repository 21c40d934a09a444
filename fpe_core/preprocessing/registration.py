"""Linear registration with ANTs: affine to MNI152, rigid between the sequences of one case."""

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fpe_core.config.recipe import RegistrationSettings
from fpe_core.errors import CaseRegistrationFailed
from fpe_core.imaging.ants_library import ants
from fpe_core.imaging.geometry import RAS_FROM_LPS, block_factors, block_mean, inverted, itk_frame, matrix_from_itk
from fpe_core.imaging.template import load_template
from fpe_core.imaging.volume import Mask, Matrix, Volume
from fpe_core.preprocessing.coarse_start import centre_of_mass, coarse_start
from fpe_core.preprocessing.morphology import closed

_SMOOTHING_VOXELS = {1: 0, 2: 1}
_SAME_PLACE_MM = 20.0
_BRIGHT_PERCENTILE = 90.0
_SULCUS_MM = 8.0
MIN_SCALE, MAX_SCALE = 0.7, 1.4


def register_to_template(brain: Volume, settings: RegistrationSettings, *, bright_csf: bool = False) -> Matrix:
    """`(4, 4)` native RAS+ mm to MNI RAS+ mm; left stays left and up stays up.

    Args:
        brain: brain-only image, everything else 0.
        settings: see `RegistrationSettings`.
        bright_csf: whether the extracted brain reaches to the skull because its CSF is as bright as tissue.

    Raises:
        CaseRegistrationFailed: the head lies otherwise than its header says, ANTs stopped, or the result turns it over
            or shrinks or stretches it by more than people differ.
    """
    start = coarse_start(brain)
    share = 0.0 if bright_csf else settings.template_tissue
    found = inverted(_ants(_comparable(settings.spacing_mm, share), brain, settings, kind="Affine", start=start))
    scales = np.linalg.svd(found[:3, :3], compute_uv=False)
    if scales.min() < MIN_SCALE or scales.max() > MAX_SCALE or np.linalg.det(found[:3, :3]) <= 0:
        raise CaseRegistrationFailed(f"scales to the template should lie in 0.7 to 1.4, got {np.round(scales, 2)}")
    return found


@lru_cache(maxsize=4)
def _comparable(spacing_mm: int, tissue_share: float) -> Volume:
    """The template's T1, 0 in the rim that is darker than `tissue_share` of its bright tissue; sulci and ventricles
    stay."""
    template = load_template(spacing_mm)
    t1, inside = template.t1, template.brain_xyz
    bright = t1.data_xyz > tissue_share * float(np.percentile(t1.data_xyz[inside], _BRIGHT_PERCENTILE))
    body = closed(bright & inside, _SULCUS_MM, t1.spacing_mm) & inside
    return t1.with_data(np.where(body, t1.data_xyz, np.float32(0)))


def register_rigid(fixed_brain: Volume, moving_brain: Volume, settings: RegistrationSettings) -> Matrix:
    """`(4, 4)` from `moving_brain`'s RAS+ mm to `fixed_brain`'s, rotation and translation only.

    Starts where the scanner put the images, or at their centres of mass when these lie more than 20 mm apart (another
    table position).
    """
    apart = centre_of_mass(moving_brain) - centre_of_mass(fixed_brain)
    start = np.eye(4)
    if float(np.linalg.norm(apart)) > _SAME_PLACE_MM:
        start[:3, 3] = apart
    coarse = block_mean(fixed_brain, block_factors(fixed_brain, settings.spacing_mm))
    return inverted(_ants(coarse, moving_brain, settings, kind="Rigid", start=start))


def brain_only(volume: Volume, brain_xyz: Mask, percentile: float = 99.0) -> Volume:
    """`volume` inside the mask, clipped at a percentile so that a bright lesion does not take all histogram bins."""
    if not brain_xyz.any():
        raise CaseRegistrationFailed("no brain was found to register")
    top = float(np.percentile(volume.data_xyz[brain_xyz], percentile))
    return volume.with_data(np.where(brain_xyz, np.clip(volume.data_xyz, 0, top), np.float32(0)))


def _ants(fixed: Volume, moving: Volume, settings: RegistrationSettings, *, kind: str, start: Matrix) -> Matrix:
    """Point transform from `fixed` to `moving` in RAS+ mm, which is the direction in which ANTs resamples.

    Args:
        fixed, moving: brain-only images.
        settings: see `RegistrationSettings`.
        kind: Rigid or Affine.
        start: `(4, 4)` from `fixed` to `moving`; the result is what the descent adds to it.
    """
    # The public way to set the seed also reseeds Python's and NumPy's own generators, which is not ours to do.
    ants.config._random_seed = settings.seed
    with tempfile.TemporaryDirectory(prefix="fpe-registration-") as folder:
        try:
            found = ants.registration(
                _to_ants(fixed),
                _to_ants(moving),
                type_of_transform=kind,
                initial_transform=_written(start, Path(folder) / "start.mat"),
                outprefix=str(Path(folder) / "found-"),
                aff_metric=settings.metric,
                aff_sampling=settings.histogram_bins,
                aff_random_sampling_rate=settings.sampling_rate,
                aff_iterations=settings.iterations,
                aff_shrink_factors=settings.shrink_factors,
                aff_smoothing_sigmas=[_SMOOTHING_VOXELS.get(shrink, 2) for shrink in settings.shrink_factors],
                singleprecision=False,
            )
            transform = ants.read_transform(str(found["fwdtransforms"][0]))
        except (RuntimeError, ValueError, IndexError) as error:
            raise CaseRegistrationFailed(f"ANTs could not register the image ({type(error).__name__})") from error
    return matrix_from_itk(np.asarray(transform.parameters), np.asarray(transform.fixed_parameters))


def _written(matrix_ras: Matrix, path: Path) -> str:
    """The transform in ANTs' own file format."""
    lps = RAS_FROM_LPS @ matrix_ras @ RAS_FROM_LPS
    transform = ants.create_ants_transform(
        transform_type="AffineTransform", matrix=lps[:3, :3], offset=lps[:3, 3], precision="double"
    )
    ants.write_transform(transform, str(path))
    return str(path)


def _to_ants(volume: Volume) -> Any:
    origin, spacing, direction = itk_frame(volume.affine_ras)
    return ants.from_numpy(
        volume.data_xyz, origin=origin.tolist(), spacing=spacing.tolist(), direction=np.ascontiguousarray(direction)
    )
