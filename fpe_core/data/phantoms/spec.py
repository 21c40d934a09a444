"""What a phantom hospital is: its scanner and its patients."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fpe_core.config.base import FrozenModel
from fpe_core.config.study import Task

Modality = Literal["mr", "ct"]
Share = Annotated[float, Field(ge=0, le=1)]
ORIENTATION = r"^[RL][AP][SI]$|^[RL][SI][AP]$|^[AP][RL][SI]$|^[AP][SI][RL]$|^[SI][RL][AP]$|^[SI][AP][RL]$"


class Scanner(FrozenModel):
    """Geometry and signal of one scanner. Fields of the other modality are not used."""

    spacing_mm: Annotated[float, Field(gt=0.3, lt=4)] = 1.0
    """In-plane voxel size, in mm."""
    thickness_mm: Annotated[float, Field(gt=0.5, lt=12)] = 6.0
    """Slice thickness, in mm."""
    field_of_view_mm: Annotated[float, Field(ge=180, le=320)] = 230.0
    """In-plane extent, in mm."""
    orientation: Annotated[str, Field(pattern=ORIENTATION)] = "LAS"
    """Directions of the stored axes, for example LAS: first axis to the left, second to the front, third upwards."""
    tilt_deg: Annotated[float, Field(ge=-25, le=25)] = 0.0
    """Angle of the slices against the horizontal plane about the left-right axis; written in the header."""
    rotation_deg: Annotated[float, Field(ge=0, le=15)] = 6.0
    """Standard deviation of the head's rotation about each axis, in degrees, cut at 15."""
    off_centre_mm: Annotated[float, Field(ge=0, le=25)] = 6.0
    """Standard deviation of the head's place in the field of view along each axis, in mm."""
    snr: Annotated[float, Field(ge=5, le=100)] = 30.0
    """MR: grey matter signal at b = 0 over the noise's standard deviation."""
    bias: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """MR: largest relative change of the receive field over the head."""
    motion_mm: Annotated[float, Field(ge=0, le=4)] = 1.0
    """MR: standard deviation of the head's shift between two sequences, in mm."""
    gain: Annotated[float, Field(gt=0, le=5000)] = 400.0
    """MR: stored value of grey matter at b = 0."""
    adc_unit: Literal["1e-6 mm2/s", "1e-3 mm2/s"] = "1e-6 mm2/s"
    """MR: unit of the stored ADC map; vendors differ."""
    noise_hu: Annotated[float, Field(ge=0, le=30)] = 4.0
    """CT: standard deviation of the noise in NCCT, in HU."""
    arterial_hu: Annotated[float, Field(ge=150, le=500)] = 350.0
    """CT: mean arterial enhancement of the CTA, in HU."""
    venous_hu: Annotated[float, Field(ge=50, le=300)] = 120.0
    """CT: mean venous enhancement of the CTA, in HU; high when the scan starts late."""
    cta_thickness_mm: Annotated[float, Field(gt=0.4, lt=4)] = 1.5
    """CT: slice thickness of the CTA, in mm."""


class CaseMix(FrozenModel):
    """Who comes to this hospital."""

    age_mean_years: Annotated[float, Field(ge=40, le=90)] = 71.0
    """Mean age, in years."""
    age_sd_years: Annotated[float, Field(ge=1, le=25)] = 16.0
    """Standard deviation of age, in years; ages are cut to 18..99."""
    core_median_ml: Annotated[float, Field(ge=5, le=100)] = 25.0
    """Median volume of the acute core, in ml."""
    log_odds_shift: Annotated[float, Field(ge=-3, le=3)] = 0.0
    """Added to every case's log odds: a prevalence shift that nothing in images or table explains."""
    m1_share: Share = 0.60
    """Share of M1 occlusions."""
    m2_share: Share = 0.20
    """Share of M2 occlusions; the rest is terminal ICA."""

    @model_validator(mode="after")
    def _shares_fit(self) -> "CaseMix":
        if self.m1_share + self.m2_share > 1:
            raise ValueError("m1_share + m2_share should be at most 1")
        return self


class PhantomSite(FrozenModel):
    """One phantom hospital."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    """Name of the site; also the first part of its case ids."""
    num_cases: Annotated[int, Field(ge=1, le=99999)]
    """Number of cases, one for each patient."""
    modality: Modality = "mr"
    """mr gives DWI, ADC and FLAIR; ct gives NCCT and CTA."""
    task: Task = "fpe"
    """The task whose link draws the labels."""
    scanner: Scanner = Scanner()
    case_mix: CaseMix = CaseMix()
