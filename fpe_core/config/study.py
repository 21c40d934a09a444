"""The study plan: everything that all sites of a study share, and all that decides its result."""

import hashlib
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from fpe_core.config.base import FrozenModel
from fpe_core.config.recipe import RECIPE_NAMES, recipe_named

Task = Literal["fpe", "recanalization", "rlvo"]
Sequence = Literal["ncct", "cta", "vessels", "dwi", "adc", "flair"]
"""Channels that a preprocessed case can have; vessels is the prior made from the CTA or supplied by the site."""


ModelName = Literal["mnt-dl", "mnt-dl-released", "scanet", "resnet34", "densenet169", "efficientnet-b0"]
ClinicalColumn = Literal[
    "age_years", "sex", "hypertension", "dyslipidaemia", "diabetes", "smoker", "atrial_fibrillation", "nihss",
    "iv_thrombolysis", "unwitnessed_onset", "occlusion_side", "occlusion_site", "cbf_under_30_ml", "tmax_over_4_s_ml",
    "tmax_over_6_s_ml", "tmax_over_10_s_ml", "hypoperfusion_intensity_ratio", "tmax4_to_tmax6_ratio", "aspects",
]  # fmt: skip
"""What a model may see of the case table. All but the last are the 18 columns of the rLVO paper's networks."""
SLICE_MODELS: frozenset[ModelName] = frozenset({"mnt-dl", "mnt-dl-released", "scanet", "resnet34"})
"""Networks over slices; the others are three-dimensional."""
MIN_VOLUME_SIDE = 33
"""Voxels along each axis that the three-dimensional networks need: they halve a volume five times."""
_CHANNELS_OF_ONE: dict[Sequence, int] = {"dwi": 3, "flair": 3, "adc": 3, "ncct": 2, "cta": 2, "vessels": 2}


class ModelPlan(FrozenModel):
    """Which network is trained and what it sees."""

    name: ModelName = "mnt-dl-released"
    """Name in the model factory."""
    sequences: tuple[Sequence, ...] = ("dwi", "flair", "adc")
    """Input channels, in this order. MR: dwi, flair, adc. CT: ncct, cta, vessels. For a network over slices a single
    one is repeated, as in the single-sequence ablations of the MNT-DL paper."""
    base_width: Annotated[int, Field(ge=8, le=64)] = 64
    """Channels of the first stage of a network over slices. 64 is the published one; smaller is for trials on a CPU."""
    non_local: bool = False
    """Adds the non-local block to the third stage of mnt-dl-released; mnt-dl always has it."""
    num_slices: Annotated[int, Field(ge=1)] = 26
    """Slices that mnt-dl, scanet and resnet34 see, the first of the volume; mnt-dl-released sees 25."""
    num_neighbourhoods: Annotated[int, Field(ge=1)] = 5
    """Runs of adjacent slices in mnt-dl and scanet."""
    clinical: tuple[ClinicalColumn, ...] = ()
    """Columns that condition a three-dimensional network through DAFT; without any it sees the image alone."""
    region: Literal["brain", "territory"] = "brain"
    """territory shows the network only the vascular territory of the occluded vessel, on both sides."""
    territory_atlas: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Fingerprint of the atlas of territories that every site has under preprocessing.territory_atlas; default is the
    platform's own map."""
    norm: Literal["batch", "group"] = "batch"
    """group replaces every batch normalisation by group normalisation: for private training, which it is needed for,
    and for sites whose images differ."""

    @property
    def channels(self) -> tuple[Sequence, ...]:
        """A sequence for each channel of the network."""
        if len(self.sequences) == 1 and self.name in SLICE_MODELS:
            return self.sequences * _CHANNELS_OF_ONE[self.sequences[0]]
        return self.sequences

    @model_validator(mode="after")
    def _sequences_are_distinct(self) -> "ModelPlan":
        if not self.sequences or len(set(self.sequences)) != len(self.sequences):
            raise ValueError(f"sequences should be one or more different names, got {list(self.sequences)}")
        return self

    @model_validator(mode="after")
    def _options_fit_the_network(self) -> "ModelPlan":
        if self.clinical and self.name in SLICE_MODELS:
            raise ValueError(f"clinical should be empty for {self.name}, which has no DAFT")
        if self.territory_atlas and self.region != "territory":
            raise ValueError("territory_atlas is for region: territory")
        if len(set(self.clinical)) != len(self.clinical):
            raise ValueError(f"clinical should be different names, got {list(self.clinical)}")
        if self.num_neighbourhoods > self.num_slices:
            raise ValueError(f"num_neighbourhoods should be at most num_slices ({self.num_slices})")
        return self


class SplitPlan(FrozenModel):
    """Patient-level split, stratified by the label. The remainder is for training."""

    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    """Share of the patients that early stopping and the choice of the best round look at."""
    test: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    """Share of the patients held out until the end; not used where `test_from` is given."""
    test_from: date | None = None
    """Patients treated on this day or later are the test set, as in a prospective validation; default a random draw."""


class PrivacyPlan(FrozenModel):
    """DP-SGD at every site: each case's gradient is clipped, the sum gets Gaussian noise (Abadi et al., CCS 2016)."""

    target_epsilon: Annotated[float, Field(gt=0)] | None = None
    """ε that the whole study may spend at δ; the noise follows from it. Either this or `noise_multiplier`."""
    noise_multiplier: Annotated[float, Field(gt=0)] | None = None
    """Standard deviation of the noise as a multiple of `max_grad_norm`."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Largest L2 norm of one case's gradient; a longer one is scaled down to it."""
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    """δ of the (ε, δ) guarantee; well below one over the number of cases."""

    @model_validator(mode="after")
    def _one_way_to_say_the_noise(self) -> "PrivacyPlan":
        if (self.target_epsilon is None) == (self.noise_multiplier is None):
            raise ValueError("give either target_epsilon or noise_multiplier")
        return self


class TrainingPlan(FrozenModel):
    """One local round."""

    local_epochs: Annotated[int, Field(ge=1)] = 1
    """Passes over the site's training cases in each round."""
    batch_size: Annotated[int, Field(ge=1)] = 12
    """Cases per optimiser step, however few of them fit on the device at once."""
    optimiser: Literal["adamw", "adam"] = "adamw"
    """adamw: decoupled weight decay (UCLA protocol, MNT-DL). adam: weight decay as L2 penalty (SCANet)."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    """Step size (UCLA protocol: 5e-4; SCANet and Vall d'Hebron: 1e-4)."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    """Weight decay (UCLA protocol: 0.05)."""
    plateau_patience_epochs: Annotated[int, Field(ge=0)] | None = None
    """Epochs of a round without a better validation loss before the learning rate is cut to a tenth; default never."""
    subnet_loss_weight: Annotated[float, Field(ge=0)] = 0.5
    """γ in L = L_fusion + γ Σ L_subnet; 0 trains the fusion head alone."""
    patience_epochs: Annotated[int, Field(ge=1)] = 10
    """Epochs of a round without a better validation loss before the round stops early."""
    balance_classes: bool = True
    """Weights the positive class by the training cases' negatives-to-positives ratio."""
    balanced_sampling: bool = False
    """Draws as many cases of each class, with replacement; instead of `balance_classes`."""
    flip_left_right: bool = True
    """Mirrors each training case with probability one half."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto: bfloat16 autocast on a GPU that has it, float16 with loss scaling on an older one, float32 on a CPU."""
    deterministic: bool = True
    """Deterministic kernels: the same plan and data give the same model on the same kind of machine."""
    privacy: PrivacyPlan | None = None
    """Differentially private training; default none."""

    @model_validator(mode="after")
    def _classes_are_balanced_once(self) -> "TrainingPlan":
        if self.balanced_sampling and self.balance_classes:
            raise ValueError("balance_classes should be false where balanced_sampling is true")
        if self.privacy and (self.balance_classes or self.balanced_sampling):
            raise ValueError(
                "privacy needs balance_classes: false and balanced_sampling: false, since both follow from how many "
                "cases of each class a site has, which is private"
            )
        if self.privacy and self.precision == "float16":
            raise ValueError("privacy needs another precision than float16")
        return self


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

    @model_validator(mode="after")
    def _recipe_fits_the_network(self) -> "StudyPlan":
        if self.recipe not in RECIPE_NAMES:
            return self  # a later version's, perhaps: who needs the recipe says that it is not here
        recipe, model = recipe_named(self.recipe), self.model
        if strange := set(model.sequences) - set(recipe.sequences):
            raise ValueError(
                f"model.sequences should be among {', '.join(recipe.sequences)}, which {recipe.name} gives, "
                f"got {', '.join(sorted(strange))}"
            )
        shape_zyx = recipe.grid.shape_zyx
        if model.name in SLICE_MODELS and model.name != "mnt-dl-released" and model.num_slices > shape_zyx[0]:
            raise ValueError(f"model.num_slices should be at most {shape_zyx[0]}, the slices of {recipe.name}")
        if model.name not in SLICE_MODELS and min(shape_zyx) < MIN_VOLUME_SIDE:
            raise ValueError(
                f"{model.name} sees volumes of at least {MIN_VOLUME_SIDE} voxels a side, and {recipe.name} has slices; "
                "recipe should be daft-ct or daft-ct-small"
            )
        return self

    @model_validator(mode="after")
    def _privacy_is_possible(self) -> "StudyPlan":
        if self.training.privacy and self.model.norm != "group":
            raise ValueError("model.norm should be group where training.privacy is given: a batch mixes its cases")
        if self.training.privacy and self.federation.compare_with_local:
            raise ValueError("federation.compare_with_local should be false in a private study: it spends ε once more")
        return self

    def fingerprint(self) -> str:
        """sha256 over the canonical JSON of the plan; sites and server compare it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
