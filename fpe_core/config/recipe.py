"""What turns a hospital's scans into network input. Two sites may train together when their recipes are the same."""

import hashlib
import json
from functools import cache
from importlib.metadata import version
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from fpe_core.config.base import FrozenModel
from fpe_core.errors import ConfigValueInvalid

RECIPE_CODE_VERSION = 5
"""Raised whenever the preprocessing code changes what comes out of it, so that no cache mixes old and new volumes."""

TEMPLATE_SHA256 = "421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6"
"""sha256 of the MNI152 T1 template file that nilearn ships (ICBM 2009a, symmetric, brain only, 1 mm)."""

Modality = Literal["mr", "ct"]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


VOXEL_LIBRARIES = ("antspyx", "nibabel", "numpy", "scipy", "SimpleITK")
"""Libraries that shape the voxels."""


@cache
def library_releases() -> dict[str, str]:
    """First two numbers of the installed version of each of `VOXEL_LIBRARIES`; none of them is imported."""
    return {name: ".".join(version(name).split(".")[:2]) for name in VOXEL_LIBRARIES}


class Grid(FrozenModel):
    """The output grid, aligned with the axes of MNI space.

    Index 0 of z is at the foot, of h (second axis) anterior, of w (third axis) on the patient's right.
    """

    shape_zyx: tuple[int, int, int] = (26, 224, 224)
    """Slices, rows, columns."""
    spacing_zyx_mm: tuple[Positive, Positive, Positive] = (6.0, 1.0, 1.0)
    """Voxel size in mm in the same order."""
    centre_ras_mm: tuple[float, float, float] = (0.0, -17.0, 5.0)
    """Where the middle of the grid lies in MNI space (right, anterior, superior), in mm."""


class RegistrationSettings(FrozenModel):
    """Affine registration to MNI152, and rigid registration between the sequences of a case, both with ANTs."""

    transform: Literal["affine"] = "affine"
    """12 parameters, from a similarity transform that a search over rotations found."""
    metric: Literal["mattes", "GC"] = "mattes"
    """mattes: mutual information, which also holds between CT and the T1 template. GC: global correlation."""
    spacing_mm: Annotated[int, Field(ge=1, le=10)] = 3
    """Voxel size of the template, and the finest of the scan, while they are compared; whole mm."""
    iterations: tuple[int, ...] = (200, 100, 50)
    """Most optimiser steps of each level, coarse to fine."""
    shrink_factors: tuple[int, ...] = (3, 2, 1)
    """Shrinking of each level, on top of `spacing_mm`."""
    sampling_rate: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Share of the voxels that the metric looks at."""
    histogram_bins: Annotated[int, Field(ge=8)] = 32
    """Bins of the joint histogram."""
    seed: Annotated[int, Field(ge=1)] = 20240607
    """Seed of the voxel sampling."""
    template_tissue: Share = 0.7
    """Share of the template's bright tissue (90th percentile of its brain) below which its rim is left out while the
    two are compared. The template's brain ends in blurred CSF, an extracted brain at its tissue where CSF is dark:
    against the whole template it is stretched by 1-3 %. 0 leaves nothing out, as where CSF is bright."""
    min_dice: Annotated[float, Field(ge=0, le=1)] = 0.80
    """Overlap of brain mask and template below which a registration counts as failed."""

    @model_validator(mode="after")
    def _levels_agree(self) -> "RegistrationSettings":
        if len(self.iterations) != len(self.shrink_factors) or not self.iterations:
            raise ValueError(
                f"iterations and shrink_factors should have the same number of levels, "
                f"got {len(self.iterations)} and {len(self.shrink_factors)}"
            )
        return self


class N4Settings(FrozenModel):
    """N4 bias-field correction (Tustison et al., IEEE TMI 2010)."""

    shrink_factor: Annotated[int, Field(ge=1)] = 3
    """Shrinking of the working image before the field is fitted; axes that are coarse already are left."""
    iterations: tuple[int, ...] = (50, 50, 30, 20)
    """Most iterations of each level."""
    spline_distance_mm: Positive = 300.0
    """Distance of the B-spline's knots at the coarsest level."""
    convergence: Positive = 1e-3
    """Relative change of the field at which a level ends."""


class HuWindows(FrozenModel):
    """CT intensity windows: clipped, then scaled to 0-1."""

    ncct_hu: tuple[float, float] = (0.0, 100.0)
    """Non-contrast CT, in HU."""
    cta_hu: tuple[float, float] = (0.0, 400.0)
    """CT angiography, in HU."""


class MrIntensities(FrozenModel):
    """Histogram matching to a stored reference, after a z-score inside the brain mask."""

    landmark_percentiles: tuple[float, ...] = (2.0, 25.0, 50.0, 75.0)
    """Percentiles of the voxels in the mask that are brought to the reference. None lies above 75: beyond the last one
    the mapping goes on in a straight line, so that a lesion keeps its contrast instead of being squeezed."""
    reference_dwi: tuple[float, ...] | None = (-2.9, -0.3, 0.4, 0.6)
    """Where the landmarks of DWI go, in z-score units: those of the template's tissues at typical signals, halfway to a
    clinical scan's. None leaves the z-scores as they are."""
    reference_flair: tuple[float, ...] | None = (-2.9, -0.1, 0.37, 0.57)
    """The same for FLAIR, from the template's tissues alone."""
    reference_adc: tuple[float, ...] | None = None
    """ADC is a physical quantity: it is not matched by default."""

    @model_validator(mode="after")
    def _landmarks_agree(self) -> "MrIntensities":
        for name in ("reference_dwi", "reference_flair", "reference_adc"):
            reference = getattr(self, name)
            if reference is not None and len(reference) != len(self.landmark_percentiles):
                raise ValueError(f"{name} should have {len(self.landmark_percentiles)} values, got {len(reference)}")
        return self


class VesselSettings(FrozenModel):
    """Automatic segmentation of the arteries in CTA. Contrast is that of the scan's large arteries over brain."""

    spacing_mm: Annotated[float, Field(ge=0.4, le=2)] = 0.7
    """Cubic voxels in which vessels are looked for."""
    scales_mm: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.8, 1.3, 2.2)
    """Standard deviations of the Gaussians before the Hessian, about 0.7 times the radius of the vessels that answer
    most: arteries of 2 to 6 mm."""
    low: Share = 0.4
    """Share of the contrast above which a voxel belongs to a vessel that a seed is part of."""
    high: Share = 0.5
    """Share of the contrast that a seed has."""
    low_vesselness: Share = 0.015
    """Vesselness of a vessel's voxel, as a share of the contrast."""
    high_vesselness: Share = 0.06
    """Vesselness of a seed, as a share of the contrast."""
    min_component_mm3: Annotated[float, Field(ge=0)] = 20.0
    """Smaller pieces are noise."""


class PreprocessingRecipe(FrozenModel):
    """Everything that decides the voxels that come out."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    """Lower-case letters, digits and hyphens."""
    modality: Modality
    """mr: dwi, adc, flair. ct: ncct, cta, and vessels where they are asked for."""
    grid: Grid = Grid()
    working_spacing_mm: Positive = 2.0
    """Voxel size at which masks are made; finer scans are averaged to it, coarser ones stay as they are."""
    field_of_view_mm: Positive = 175.0
    """How far below the top of the head the scan is kept: the rest is neck."""
    registration: RegistrationSettings = RegistrationSettings()
    n4: N4Settings = N4Settings()
    windows: HuWindows = HuWindows()
    mr_intensities: MrIntensities = MrIntensities()
    vessels: VesselSettings | None = None
    """Adds the volume `vessels` to each case with a CTA; default none."""

    @property
    def sequences(self) -> tuple[str, ...]:
        """Volumes that a case can have with this recipe."""
        return _SEQUENCES[self.modality] + (("vessels",) if self.vessels else ())

    def fingerprint(self) -> str:
        """sha256 over this recipe, the template, the version of the steps' code and the releases of the libraries that
        shape the voxels. Of a library's version the first two numbers count: patch releases may train together, and
        the conformance check shows whether they may.
        """
        return _sha256({"content": self.content_sha256(), "libraries": library_releases()})

    def content_sha256(self) -> str:
        """The same without the libraries: what was asked for, whatever is installed."""
        version_and_template = {"code": RECIPE_CODE_VERSION, "template": TEMPLATE_SHA256}
        return _sha256(self.model_dump(mode="json") | version_and_template)


_SEQUENCES: dict[Modality, tuple[str, ...]] = {"ct": ("ncct", "cta"), "mr": ("dwi", "adc", "flair")}


def _sha256(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


_SMALL_GRID = Grid(shape_zyx=(26, 64, 64), spacing_zyx_mm=(6.0, 3.5, 3.5))
_COARSE_REGISTRATION = RegistrationSettings(spacing_mm=6, iterations=(100, 30), shrink_factors=(2, 1))
_CT_TISSUE = 0.45
"""A CT's brain reaches the inner table, so less of the template's rim is left out."""
_CT_REGISTRATION = RegistrationSettings(template_tissue=_CT_TISSUE)
_COARSE_CT_REGISTRATION = RegistrationSettings(
    spacing_mm=6,
    iterations=(100, 100, 40),
    shrink_factors=(2, 2, 1),
    sampling_rate=0.4,
    template_tissue=_CT_TISSUE,
)
"""Grey and white matter differ by 10 HU only: with fewer samples or steps some heads end 5-8 mm off."""
_COARSE_N4 = N4Settings(shrink_factor=3, iterations=(20, 20, 10, 10))

_VESSEL_GRID = Grid(shape_zyx=(258, 295, 246), spacing_zyx_mm=(0.4, 0.43, 0.43), centre_ras_mm=(0.0, -5.0, 12.0))
"""The size that the EJR 2025 paper prints, around the circle of Willis and both MCAs; docs/decisions/0011."""
_SMALL_VESSEL_GRID = Grid(
    shape_zyx=(64, 80, 64),
    spacing_zyx_mm=(103.2 / 64, 126.85 / 80, 105.78 / 64),
    centre_ras_mm=_VESSEL_GRID.centre_ras_mm,
)

_BUILT_IN = {
    recipe.name: recipe
    for recipe in (
        PreprocessingRecipe(name="mnt-dl-mr", modality="mr"),
        PreprocessingRecipe(name="mnt-dl-ct", modality="ct", registration=_CT_REGISTRATION),
        PreprocessingRecipe(
            name="mnt-dl-mr-small",
            modality="mr",
            grid=_SMALL_GRID,
            working_spacing_mm=4.0,
            registration=_COARSE_REGISTRATION,
            n4=_COARSE_N4,
        ),
        PreprocessingRecipe(
            name="mnt-dl-ct-small",
            modality="ct",
            grid=_SMALL_GRID,
            working_spacing_mm=4.0,
            registration=_COARSE_CT_REGISTRATION,
        ),
        PreprocessingRecipe(
            name="daft-ct",
            modality="ct",
            grid=_VESSEL_GRID,
            registration=_CT_REGISTRATION,
            vessels=VesselSettings(),
        ),
        PreprocessingRecipe(
            name="daft-ct-small",
            modality="ct",
            grid=_SMALL_VESSEL_GRID,
            working_spacing_mm=4.0,
            registration=_COARSE_CT_REGISTRATION,
            vessels=VesselSettings(spacing_mm=1.0, scales_mm=(1.0, 2.0)),
        ),
    )
}


RECIPE_NAMES = tuple(_BUILT_IN)
"""Names of the built-in recipes."""


def recipe_named(name: str) -> PreprocessingRecipe:
    """A built-in recipe.

    Raises:
        ConfigValueInvalid: no recipe has this name.
    """
    try:
        return _BUILT_IN[name]
    except KeyError:
        valid = ", ".join(_BUILT_IN)
        raise ConfigValueInvalid(
            f"recipe should be one of {valid}, got {name!r}", hint=f"write one of {valid}"
        ) from None
