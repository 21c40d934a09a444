"""The file of a run of the Vall d'Hebron protocol (EJR 2025)."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from fpe_core.config.base import FrozenModel
from fpe_core.config.study import TrainingPlan
from fpe_sim.protocol import ProtocolBase, SiteFile

Encoder = Literal["efficientnet-b0", "densenet169"]
Configuration = Literal["plain", "prior", "daft", "prior-daft"]
Input = Literal["ncct", "cta", "both"]
MOST_REMOVED = 10
"""Of the 18 columns, so that model C, which also lacks the 6 of CT perfusion, has two left at least."""


class SmallDial(FrozenModel):
    """What is otherwise at `dials.images: small`."""

    training: TrainingPlan
    """In place of the protocol's own."""


class Ablation(FrozenModel):
    """Models B and C of the paper's table 4."""

    num_least_predictive: Annotated[int, Field(ge=1, le=MOST_REMOVED)] = 7
    """Columns that model B goes without: those with the least contribution in model A. The paper names the six of CT
    perfusion and thrombolysis as low to moderate, and prints no list."""


class Subgroups(FrozenModel):
    """The post-hoc analysis."""

    min_cases_per_class: Annotated[int, Field(ge=2)] = 5
    """Groups with fewer cases of a class are held back."""
    age_split_years: Annotated[float, Field(gt=0, lt=120)] = 80.0
    """First age of the older group; the paper does not print its own."""


class VdhProtocol(ProtocolBase):
    """Refractory occlusion from CT, CTA and the clinical table, with and without a vessel prior and DAFT."""

    kind: Literal["vdh-rlvo"]
    site: SiteFile | None = None
    """Site file whose real cohort takes the phantoms' place."""
    num_folds: Annotated[int, Field(ge=2)] = 4
    """Folds of the cross-validation."""
    encoders: Annotated[tuple[Encoder, ...], Field(min_length=1)] = ("efficientnet-b0", "densenet169")
    """Networks; fewer make a narrowed run."""
    configurations: Annotated[tuple[Configuration, ...], Field(min_length=1)] = ("plain", "prior", "daft", "prior-daft")
    """What a network sees beside its images; fewer make a narrowed run."""
    inputs: Annotated[tuple[Input, ...], Field(min_length=1)] = ("ncct", "cta", "both")
    """Members of each fold's ensemble; fewer make a narrowed run."""
    training: TrainingPlan
    """As published where `dials.images` is full."""
    small: SmallDial
    ablation: Ablation = Ablation()
    subgroups: Subgroups = Subgroups()

    @field_validator("encoders", "configurations", "inputs")
    @classmethod
    def _stand_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise ValueError(f"each name should stand once, got {', '.join(names)}")
        return names

    @property
    def recipe(self) -> str:
        """The preprocessing recipe."""
        return "daft-ct-small" if self.dials.images == "small" else "daft-ct"

    @property
    def used_training(self) -> TrainingPlan:
        """Settings of the trainings at this dial."""
        return self.small.training if self.dials.images == "small" else self.training

    @property
    def narrowed(self) -> bool:
        """Whether networks of the paper are left out."""
        return (len(self.encoders), len(self.configurations), len(self.inputs)) != (2, 4, 3)
