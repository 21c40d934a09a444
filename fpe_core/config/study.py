"""The study plan: everything that all sites of a study share, and all that decides its result."""

import hashlib
from typing import Annotated, Literal

from pydantic import Field, model_validator

from fpe_core.config.base import FrozenModel

Task = Literal["fpe", "recanalization", "rlvo"]
Sequence = Literal["ncct", "cta", "dwi", "adc", "flair"]


class ModelPlan(FrozenModel):
    """Which network is trained and what it sees."""

    name: Literal["mnt-dl-released"] = "mnt-dl-released"
    """Name in the model factory."""
    sequences: tuple[Sequence, ...] = ("dwi", "flair", "adc")
    """Input channels, in this order. MR: dwi, flair, adc. CT: ncct, cta."""
    base_width: Annotated[int, Field(ge=8, le=64)] = 64
    """Channels of the first stage. 64 is the published network; smaller is for trials on a CPU."""
    non_local: bool = False
    """Adds the non-local block to the third stage."""

    @model_validator(mode="after")
    def _sequences_are_distinct(self) -> "ModelPlan":
        if not self.sequences or len(set(self.sequences)) != len(self.sequences):
            raise ValueError(f"sequences should be one or more different names, got {list(self.sequences)}")
        return self


class SplitPlan(FrozenModel):
    """Patient-level split, stratified by the label. The remainder is for training."""

    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    """Share of the patients that early stopping and the choice of the best round look at."""
    test: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    """Share of the patients held out until the end."""


class TrainingPlan(FrozenModel):
    """One local round."""

    local_epochs: Annotated[int, Field(ge=1)] = 1
    """Passes over the site's training cases in each round."""
    batch_size: Annotated[int, Field(ge=2)] = 12
    """Cases per optimiser step."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    """AdamW step size (UCLA protocol: 5e-4)."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    """AdamW decoupled weight decay (UCLA protocol: 0.05)."""
    subnet_loss_weight: Annotated[float, Field(ge=0)] = 0.5
    """γ in L = L_fusion + γ Σ L_subnet; 0 trains the fusion head alone."""
    patience_epochs: Annotated[int, Field(ge=1)] = 10
    """Epochs of a round without a better validation loss before the round stops early."""
    balance_classes: bool = True
    """Weights the positive class by the training cases' negatives-to-positives ratio."""
    flip_left_right: bool = True
    """Mirrors each training case with probability one half."""
    precision: Literal["auto", "float32"] = "auto"
    """auto: bfloat16 autocast where the device is a GPU that has it. float32: never."""
    deterministic: bool = True
    """Deterministic kernels: the same plan and data give the same model on the same kind of machine."""


class FederationPlan(FrozenModel):
    """Rounds and what happens when sites are missing."""

    rounds: Annotated[int, Field(ge=1)] = 10
    """Number of federated rounds."""
    min_sites: Annotated[int, Field(ge=1)] = 2
    """Sites that must be connected before the study starts."""
    quorum: Annotated[int, Field(ge=1)] = 2
    """Sites whose update a round needs; below it the study stops with an error."""
    wait_for_sites_s: Annotated[float, Field(gt=0)] = 600.0
    """How long the start waits for `min_sites`."""
    round_deadline_s: Annotated[float, Field(gt=0)] = 3600.0
    """Longest time a round waits for updates, in seconds."""
    grace_s: Annotated[float, Field(ge=0)] = 120.0
    """How long a round still waits for the other sites once the quorum has answered, in seconds."""
    compare_with_local: bool = True
    """Also lets each site train the same network alone, for the comparison in the report."""

    @model_validator(mode="after")
    def _quorum_fits(self) -> "FederationPlan":
        if self.quorum > self.min_sites:
            raise ValueError(f"quorum should be at most min_sites ({self.min_sites}), got {self.quorum}")
        return self


class StudyPlan(FrozenModel):
    """A whole study. Two runs of one plan on the same data give the same model (`training.deterministic`)."""

    schema_version: Literal[1] = 1
    """Version of this file's format."""
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    """Name of the study: lower-case letters, digits and hyphens."""
    task: Task
    """What is predicted: fpe, recanalization or rlvo."""
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    """Every random draw of the study is derived from this number."""
    recipe: Annotated[str, Field(min_length=1)] = "mnt-dl-mr"
    """Name of the preprocessing recipe that every site must have used."""
    model: ModelPlan = ModelPlan()
    split: SplitPlan = SplitPlan()
    training: TrainingPlan = TrainingPlan()
    federation: FederationPlan = FederationPlan()

    def fingerprint(self) -> str:
        """sha256 over the canonical JSON of the plan; sites and server compare it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
