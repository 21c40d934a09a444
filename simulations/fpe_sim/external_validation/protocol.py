"""What an external-validation file says: hospitals, outcomes, directions, and how the network is trained."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from fpe_core.config.base import FrozenModel
from fpe_core.config.study import ModelPlan, Sequence, StudyPlan, Task, TrainingPlan
from fpe_core.seeds import derive_seed
from fpe_sim.external_validation.pairs import HospitalName, Pair
from fpe_sim.protocol import ProtocolBase, SiteFile

SEQUENCES: tuple[Sequence, ...] = ("ncct", "cta")
"""What both hospitals have of every patient."""


class HospitalPlan(FrozenModel):
    """One hospital as the home of a model."""

    site: SiteFile | None = None
    """Site file of a real cohort; default is the phantom cohort of the hospital's paper."""
    num_folds: Annotated[int, Field(ge=2)]
    """K of the cross-validation on the development cohort; the K models together are what travels."""
    test_from: date | None = None
    """Patients first treated on this day or later are the home test cohort; without a day it is the cohort's own
    division where it has one, else a random share of the patients."""
    test_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    """That random share."""


class NetworkSettings(FrozenModel):
    """The network and its training at one value of the dial `images`."""

    recipe: str
    """Preprocessing recipe of both cohorts."""
    base_width: Annotated[int, Field(ge=8, le=64)]
    """Channels of the network's first stage."""
    training: TrainingPlan
    """One training of one fold."""


class ExternalValidationProtocol(ProtocolBase):
    """A file of kind external-validation."""

    kind: Literal["external-validation"]
    labels: Annotated[tuple[Task, ...], Field(min_length=1)]
    """Outcomes to predict, each one defined alike at both hospitals."""
    homes: Annotated[tuple[HospitalName, ...], Field(min_length=1)]
    """Where models are trained; each is judged at the other hospital."""
    ucla: HospitalPlan
    vdh: HospitalPlan
    full: NetworkSettings
    """For `dials.images: full`."""
    small: NetworkSettings
    """For `dials.images: small`."""

    @model_validator(mode="after")
    def _nothing_twice(self) -> "ExternalValidationProtocol":
        for name, values in (("labels", self.labels), ("homes", self.homes)):
            if len(set(values)) != len(values):
                raise ValueError(f"{name} should be different names, got {list(values)}")
        return self

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Every home with every label, home by home."""
        return tuple(Pair(home, label) for home in self.homes for label in self.labels)

    @property
    def network(self) -> NetworkSettings:
        """That of the dial `images`."""
        return self.small if self.dials.images == "small" else self.full

    def hospital(self, name: HospitalName) -> HospitalPlan:
        """The plan of one hospital."""
        return {"ucla": self.ucla, "vdh": self.vdh}[name]

    def study(self, pair: Pair) -> StudyPlan:
        """Network, training and seed of a pair's models."""
        network = self.network
        return StudyPlan(
            name=pair.name,
            task=pair.label,
            seed=derive_seed(self.seed, "training", pair.home, pair.label) % 2**32,
            recipe=network.recipe,
            model=ModelPlan(name="mnt-dl", sequences=SEQUENCES, base_width=network.base_width),
            training=network.training,
        )
