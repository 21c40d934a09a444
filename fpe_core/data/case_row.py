"""One case as the platform sees it. The fields of `CaseRow` declare the columns of a case table, each once."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field

from fpe_core.config.base import FrozenModel

ImageColumn = Literal["ncct", "cta", "vessels", "dwi", "adc", "flair", "b0", "b1000"]
IMAGE_COLUMNS: tuple[ImageColumn, ...] = get_args(ImageColumn)
Grade = Literal["0", "1", "2a", "2b", "2c", "3"]
"""mTICI or eTICI reperfusion grade."""
OcclusionSite = Literal["ica", "m1", "m2", "m3", "aca", "pca", "basilar", "vertebral"]
IDENTIFIER = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
FIRST_DATE, LAST_DATE = date(1900, 1, 1), date(2199, 12, 31)
"""Wide, because de-identified tables shift dates by decades."""


@dataclass(frozen=True)
class Unit:
    """What one step of a number is."""

    name: str


Identifier = Annotated[str, Field(pattern=IDENTIFIER)]
Age = Annotated[float, Field(ge=0, le=120, allow_inf_nan=False), Unit("year")]
Nihss = Annotated[int, Field(ge=0, le=42), Unit("point")]
Aspects = Annotated[int, Field(ge=0, le=10), Unit("point")]
Minutes = Annotated[float, Field(ge=0, le=43200, allow_inf_nan=False), Unit("min")]
Volume = Annotated[float, Field(ge=0, le=2000, allow_inf_nan=False), Unit("ml")]
Intensity = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), Unit("1")]
Ratio = Annotated[float, Field(ge=1, le=2000, allow_inf_nan=False), Unit("1")]
Passes = Annotated[int, Field(ge=0, le=20), Unit("pass")]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False), Unit("percent")]
Day = Annotated[date, Field(ge=FIRST_DATE, le=LAST_DATE)]


class CaseRow(FrozenModel):
    """One case. Everything but the two ids may be unknown (None; an empty cell in the CSV)."""

    case_id: Identifier
    """Name of this case in the site's own files; unique in the table."""
    patient_id: Identifier
    """The same for all cases of one patient: a patient never stands in two splits."""
    images: dict[ImageColumn, Path]
    """Image files that exist for this case, by sequence; absolute, or relative to the working folder."""
    synthetic: bool = False
    """1 for a phantom."""
    treatment_date: Day | None = None
    """Day of the thrombectomy. It stays at the site; a split by date needs it, and so does a patient treated twice."""

    significant_haemorrhage: bool | None = None
    """1 for a significant haemorrhage before treatment."""
    no_occlusion_on_angiography: bool | None = None
    """1 when the baseline angiography shows no occlusion."""
    several_occlusions: bool | None = None
    """1 for several synchronous occlusions."""
    image_quality_degraded: bool | None = None
    """1 when a reader found an image degraded beyond use, for example by motion or metal."""

    age_years: Age | None = None
    """Age at admission."""
    sex: Literal["F", "M"] | None = None
    """Female or male."""
    nihss: Nihss | None = None
    """NIHSS at arrival."""
    aspects: Aspects | None = None
    """ASPECTS on the pre-treatment scan."""
    onset_to_image_min: Minutes | None = None
    """Time from onset to imaging; empty when the onset is unknown."""
    unwitnessed_onset: bool | None = None
    """1 for wake-up or unwitnessed stroke."""
    iv_thrombolysis: bool | None = None
    """1 when thrombolysis was given before the thrombectomy."""
    hypertension: bool | None = None
    """1 for a patient with hypertension."""
    dyslipidaemia: bool | None = None
    """1 for a patient with dyslipidaemia."""
    diabetes: bool | None = None
    """1 for a patient with diabetes."""
    atrial_fibrillation: bool | None = None
    """1 for a patient with atrial fibrillation."""
    smoker: bool | None = None
    """1 for a smoker."""
    occlusion_side: Literal["left", "right"] | None = None
    """Side of the occluded vessel in the patient."""
    occlusion_site: OcclusionSite | None = None
    """The occluded vessel: ica is the terminal internal carotid."""
    cbf_under_30_ml: Volume | None = None
    """CT perfusion: volume with CBF below 30 % of the other side."""
    tmax_over_4_s_ml: Volume | None = None
    """CT perfusion: volume with Tmax above 4 s."""
    tmax_over_6_s_ml: Volume | None = None
    """CT perfusion: volume with Tmax above 6 s."""
    tmax_over_10_s_ml: Volume | None = None
    """CT perfusion: volume with Tmax above 10 s."""
    hypoperfusion_intensity_ratio: Intensity | None = None
    """CT perfusion: Tmax above 10 s over Tmax above 6 s. Used where one of the two volumes is missing."""
    tmax4_to_tmax6_ratio: Ratio | None = None
    """CT perfusion: Tmax above 4 s over Tmax above 6 s. Used where one of the two volumes is missing."""

    num_passes: Passes | None = None
    """Thrombectomy passes (aspiration or stent retriever) until the end of conventional treatment."""
    mtici_after_first_pass: Grade | None = None
    """Reperfusion grade after the first pass."""
    final_mtici: Grade | None = None
    """Reperfusion grade at the end of conventional treatment, before any rescue treatment."""
    stenosis_percent: Percent | None = None
    """Residual angiographic stenosis at the occlusion."""
    rescue_treatment: bool | None = None
    """1 when angioplasty or stenting followed a failed conventional treatment."""

    @property
    def available_sequences(self) -> frozenset[ImageColumn]:
        """Sequences that this case has or that follow from others: b1000 is a DWI, and b0 with b1000 gives ADC."""
        names = set(self.images)
        if names & {"dwi", "b1000"}:
            names.add("dwi")
            if "b0" in names:
                names.add("adc")
        return frozenset(names)
