"""The protocol of the SCANet paper as a YAML file (Zhang et al., MIDL 2022)."""

from typing import Annotated, Literal

from pydantic import Field

from fpe_core.config.base import FrozenModel
from fpe_core.config.study import TrainingPlan
from fpe_sim.protocol import ProtocolBase, SiteFile

Positive = Annotated[float, Field(gt=0)]


class CrossValidation(FrozenModel):
    """Every case is held out once; nothing that its fold's models were fitted or chosen with has seen it."""

    folds: Annotated[int, Field(ge=2)] = 5
    """Folds of which one after the other is held out. The paper does not print their number."""
    inner_folds: Annotated[int, Field(ge=2)] = 5
    """Networks: one part in so many of a fold's development cases is for early stopping and the threshold, the others
    for training. Radiomics: folds of the inner cross-validation."""


class RadiomicsSettings(FrozenModel):
    """What the inner cross-validation of the radiomics baseline chooses from."""

    num_features: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (4, 8, 16)
    """Number of features that the F-test ranks first."""
    inverse_penalties: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.01, 0.1, 1.0)
    """C of the logistic regression's ridge penalty."""


class NetworkSetting(FrozenModel):
    """Grid, width and training of both networks, for one value of the dial `images`."""

    recipe: str
    """Name of the preprocessing recipe."""
    base_width: Annotated[int, Field(ge=8, le=64)]
    """Channels of the networks' first stage; 64 is the published one."""
    training: TrainingPlan
    """One fold's training; `local_epochs` is the most that it takes."""


class UclaScanet(ProtocolBase):
    """UCLA, SCANet: recanalization from CT and CTA."""

    kind: Literal["ucla-scanet"]
    site: SiteFile | None = None
    """Site file of a real cohort that takes the phantoms' place."""
    cross_validation: CrossValidation = CrossValidation()
    radiomics: RadiomicsSettings = RadiomicsSettings()
    full: NetworkSetting
    """With `images: full`: as the paper has it."""
    small: NetworkSetting
    """With `images: small`: for a machine without a GPU."""

    @property
    def setting(self) -> NetworkSetting:
        """What the dial `images` stands at."""
        return self.full if self.dials.images == "full" else self.small
