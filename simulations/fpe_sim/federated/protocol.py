"""What a multi-site comparison is: virtual hospitals, a study among them, the arms, and the number of seeds."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fpe_core.config.base import FrozenModel
from fpe_core.config.study import (
    FederationPlan,
    ModelPlan,
    Sequence,
    SplitPlan,
    StudyPlan,
    Task,
    TrainingPlan,
)
from fpe_core.data.phantoms.spec import Modality
from fpe_core.seeds import derive_seed
from fpe_sim.protocol import Dials, ProtocolBase, SiteFile

Arm = Literal["local", "federated", "pooled", "leave-one-out"]
MIN_CASES = 12
"""Fewest cases of a virtual hospital: three splits with both classes need about so many."""


class Hospitals(FrozenModel):
    """Who takes part, and how the sites differ. All at their defaults, the sites are alike (IID)."""

    number: Annotated[int, Field(ge=2, le=20)] = 4
    """Number of hospitals."""
    cases_per_site: Annotated[int, Field(ge=MIN_CASES)] = 48
    """Cases of each hospital, on average over the hospitals; `dials.scale` multiplies it."""
    modalities: Annotated[tuple[Literal["mr", "ct", "both"], ...], Field(min_length=1)] = ("mr",)
    """What the first, the second … hospital scans with, from the beginning again after the last. A hospital with both
    has half of its cases in each. A study has one modality: those with MR learn together, and those with CT do."""
    scanners: Literal["same", "different"] = "same"
    """different: three scanners by turns, which differ in resolution, noise, contrast and orientation."""
    log_odds_spread: Annotated[float, Field(ge=0, le=3)] = 0.0
    """Skew of the labels: added to every case's log odds, from this much below zero at the first hospital to as much
    above at the last. 0: the same prevalence everywhere."""
    size_ratio: Annotated[float, Field(ge=1, le=100)] = 1.0
    """Cases of the first hospital over those of the last; those between are spaced by a constant factor."""
    site_files: tuple[SiteFile, ...] = ()
    """Site files of real hospitals whose cohorts take the phantoms' place; `modalities` is then a single one, and seeds
    differ in splits and training alone."""

    @model_validator(mode="after")
    def _real_sites_have_one_modality(self) -> "Hospitals":
        if self.site_files and (len(self.site_files) < 2 or self.modalities not in {("mr",), ("ct",)}):
            raise ValueError("site_files should name two sites or more, and modalities be [mr] or [ct]")
        return self


class Inputs(FrozenModel):
    """What the network sees of one modality."""

    recipe: str
    """Preprocessing recipe at `dials.images: full`; `-small` is appended at small."""
    sequences: tuple[Sequence, ...]
    """Channels."""


class StudyOptions(FrozenModel):
    """The study of every arm: the sections of a study plan. Name, seed, recipe and model.sequences are filled in."""

    task: Task = "fpe"
    """What is predicted."""
    model: ModelPlan = ModelPlan()
    split: SplitPlan = SplitPlan()
    training: TrainingPlan = TrainingPlan()
    federation: FederationPlan = FederationPlan()
    """min_sites and quorum are filled in as well: a virtual site does not drop out, and every arm waits for all of its
    sites, so that the same protocol gives the same numbers on a slow machine."""


class SmallDial(FrozenModel):
    """What `dials.images: small` has in place of the study's own settings."""

    base_width: Annotated[int, Field(ge=8, le=64)] = 16
    """In place of study.model.base_width."""
    rounds: Annotated[int, Field(ge=1)]
    """In place of study.federation.rounds."""
    training: TrainingPlan
    """In place of study.training."""


class FederatedProtocol(ProtocolBase):
    """The multi-site comparison: what does federation buy?"""

    kind: Literal["federated"]
    dials: Dials = Dials(images="small")
    num_seeds: Annotated[int, Field(ge=1, le=100)] = 5
    """How often everything is drawn anew: cohorts, splits, weights, order of cases. Intervals are over these."""
    arms: tuple[Arm, ...] = ("local", "federated", "pooled", "leave-one-out")
    """federated is always among them."""
    left_out: Annotated[int, Field(ge=1)] = 1
    """leave-one-out: hospitals left out in each seed, one at a time; the next seed goes on with the next hospital."""
    hospitals: Hospitals = Hospitals()
    inputs: dict[Modality, Inputs]
    """By modality."""
    study: StudyOptions = StudyOptions()
    small: SmallDial

    @model_validator(mode="after")
    def _federated_is_an_arm(self) -> "FederatedProtocol":
        if "federated" not in self.arms or len(set(self.arms)) != len(self.arms):
            raise ValueError("arms should have federated among them, and each once")
        return self

    @model_validator(mode="after")
    def _plans_are_valid(self) -> "FederatedProtocol":
        if lacking := set(self.group_modalities()) - set(self.inputs):
            raise ValueError(f"inputs should name {', '.join(sorted(lacking))}, which a hospital has")
        for modality in self.group_modalities():
            self.plan(modality, 1, arm="federated", num_sites=2)
        return self

    def group_modalities(self) -> tuple[Modality, ...]:
        """The modalities of which there is a study: those that two hospitals or more have.

        Raises:
            ValueError: there is none.
        """
        count = len(self.hospitals.site_files) or self.hospitals.number
        turns = self.hospitals.modalities
        kinds = [turns[index % len(turns)] for index in range(count)]
        both: tuple[Modality, ...] = ("mr", "ct")
        found = tuple(name for name in both if sum(kind in (name, "both") for kind in kinds) > 1)
        if not found:
            raise ValueError("hospitals: two hospitals or more should have the same modality")
        return found

    def seed_of(self, number: int) -> int:
        """The seed of cohorts and study of the seed with this number, from 1."""
        return derive_seed(self.seed, "seed", number) % 2**32

    def plan(self, modality: Modality, seed_number: int, *, arm: str, num_sites: int) -> StudyPlan:
        """The plan of one arm's study.

        The seed is the same in all arms: they start from the same weights, and a site has the same split in each.

        Args:
            modality: of the images.
            seed_number: from 1.
            arm: for the study's name.
            num_sites: sites that take part.
        """
        options, inputs, small = self.study, self.inputs[modality], self.dials.images == "small"
        model = options.model.model_copy(update={"sequences": inputs.sequences})
        federation = options.federation.model_copy(
            update={
                "min_sites": num_sites,
                "quorum": num_sites,
                "compare_with_local": arm == "federated" and "local" in self.arms,
                **({"rounds": self.small.rounds} if small else {}),
            }
        )
        return StudyPlan.model_validate(
            {
                "name": f"{self.name[:30].rstrip('-')}-{modality}-seed-{seed_number}-{arm}",
                "task": options.task,
                "seed": self.seed_of(seed_number),
                "recipe": inputs.recipe + ("-small" if small else ""),
                "model": {**model.model_dump(), **({"base_width": self.small.base_width} if small else {})},
                "split": options.split.model_dump(),
                "training": (self.small.training if small else options.training).model_dump(),
                "federation": federation.model_dump(),
            }
        )
