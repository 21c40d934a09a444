"""The protocol's networks: encoder, configuration and input, and the study plan of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fpe_core.config.study import ClinicalColumn, FederationPlan, ModelPlan, StudyPlan
from fpe_core.config.study import Sequence as ImageName
from fpe_core.data.clinical_columns import RLVO_COLUMNS
from fpe_core.seeds import derive_seed
from fpe_sim.vdh_rlvo.protocol import Configuration, Encoder, Input, VdhProtocol

TASK: Final = "rlvo"
COHORT_SEQUENCES: Final[tuple[ImageName, ...]] = ("ncct", "cta", "vessels")
"""What a case needs to take part: all inputs see the same cases."""
INPUT_SEQUENCES: Final[dict[Input, tuple[ImageName, ...]]] = {
    "ncct": ("ncct",), "cta": ("cta",), "both": ("ncct", "cta"),
}  # fmt: skip
ENCODER_WORDS: Final[dict[Encoder, str]] = {"efficientnet-b0": "EffB0", "densenet169": "D169"}
CONFIGURATION_WORDS: Final[dict[Configuration, str]] = {
    "plain": "", "prior": " + prior", "daft": " + DAFT", "prior-daft": " + prior + DAFT",
}  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """One row of the paper's table 3: an encoder in a configuration, for every input."""

    encoder: Encoder
    configuration: Configuration

    @property
    def label(self) -> str:
        """As the paper's table 3 has it."""
        return ENCODER_WORDS[self.encoder] + CONFIGURATION_WORDS[self.configuration]

    @property
    def id(self) -> str:
        """For folders and numbers."""
        return f"{self.encoder}-{self.configuration}"

    @property
    def has_daft(self) -> bool:
        """Whether the clinical columns condition the network."""
        return self.configuration in ("daft", "prior-daft")

    @property
    def has_prior(self) -> bool:
        """Whether the vessel segmentation is a channel."""
        return self.configuration in ("prior", "prior-daft")

    @property
    def without_daft(self) -> "Variant":
        """The same network without the clinical columns."""
        return Variant(self.encoder, "prior" if self.has_prior else "plain")


def all_variants(protocol: VdhProtocol) -> tuple[Variant, ...]:
    """In the order of the paper's table 3."""
    return tuple(
        Variant(encoder, configuration) for encoder in protocol.encoders for configuration in protocol.configurations
    )


def study_plan(
    protocol: VdhProtocol,
    variant: Variant,
    image_input: Input,
    columns: Sequence[ClinicalColumn] = RLVO_COLUMNS,
) -> StudyPlan:
    """Network, training and seed of one cross-validation. All have one seed: the same folds and, for networks of one
    form, the same first weights.

    Args:
        protocol: dials and training.
        variant: encoder and configuration.
        image_input: which images.
        columns: what DAFT is given; a variant without DAFT sees none.
    """
    vessels: tuple[ImageName, ...] = ("vessels",) if variant.has_prior else ()
    return StudyPlan(
        name=f"{variant.id}-{image_input}",
        task=TASK,
        seed=plan_seed(protocol),
        recipe=protocol.recipe,
        model=ModelPlan(
            name=variant.encoder,
            sequences=INPUT_SEQUENCES[image_input] + vessels,
            clinical=tuple(columns) if variant.has_daft else (),
        ),
        training=protocol.used_training,
        federation=FederationPlan(compare_with_local=False),
    )


def plan_seed(protocol: VdhProtocol) -> int:
    """Seed of every plan: of the folds, the first weights and the order of the cases."""
    return derive_seed(protocol.seed, "study plan") % 2**32
