"""What a UCLA protocol file says."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from fpe_core.config.base import FrozenModel
from fpe_core.config.pretraining import PretrainingPlan
from fpe_core.config.study import TrainingPlan
from fpe_sim.protocol import ProtocolBase, SiteFile

Modality = Literal["mr", "ct"]


class PretrainingSection(FrozenModel):
    """SimSiam on the scans without labels."""

    rounds: Annotated[int, Field(ge=1)]
    """Rounds of `plan.local_epochs` epochs. A run that is cut off loses at most one."""
    plan: PretrainingPlan
    """One round."""


class Settings(FrozenModel):
    """How networks are trained."""

    base_width: Annotated[int, Field(ge=8, le=64)]
    """Channels of the network's first stage; 64 is the published one."""
    training: TrainingPlan
    """Of each fold."""
    pretraining: PretrainingSection
    """Before the folds of MNT-DL + SSL."""


class UclaFpe(ProtocolBase):
    """Cross-validation on the patients treated before a day, test on those treated later (AJNR 2024)."""

    kind: Literal["ucla-fpe"]
    modality: Modality
    """mr: DWI, FLAIR and ADC. ct: NCCT and CTA."""
    site: SiteFile | None = None
    """Site file of a hospital's own cohort, which takes the phantoms' place."""
    unlabelled_site: SiteFile | None = None
    """Site file of its scans without labels; needed where `site` is given."""
    test_from: date
    """Patients treated on this day or later are the prospective test cohort."""
    num_folds: Annotated[int, Field(ge=2)] = 5
    """K of the cross-validation."""
    region: Literal["brain", "territory"] = "territory"
    """territory shows the networks the territory of the occluded vessel on both sides, as the paper does."""
    full: Settings
    """With `dials.images: full`, as the paper has them."""
    small: Settings
    """With `dials.images: small`."""

    @property
    def settings(self) -> Settings:
        """Those of the dial."""
        return self.full if self.dials.images == "full" else self.small

    @property
    def recipe(self) -> str:
        """Name of the preprocessing recipe."""
        return f"mnt-dl-{self.modality}" + ("" if self.dials.images == "full" else "-small")
