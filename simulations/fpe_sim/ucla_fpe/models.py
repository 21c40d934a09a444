"""The networks that are compared, one for each row of tables 2 and 3."""

from dataclasses import dataclass

from fpe_core.config.study import ModelPlan, Sequence, StudyPlan
from fpe_sim.ucla_fpe.protocol import Modality, UclaFpe

BASE, SSL = "MNT-DL", "MNT-DL + SSL"


@dataclass(frozen=True)
class Candidate:
    """One row.

    Attributes:
        name: as the paper prints it.
        sequences: what the network sees.
        pretrained: whether its encoder has seen the scans without labels.
    """

    name: str
    sequences: tuple[Sequence, ...]
    pretrained: bool = False

    @property
    def slug(self) -> str:
        """The name for folders and numbers, for example `mnt-dl-ssl`."""
        return self.name.lower().replace(" + ", "-")


SEQUENCES: dict[Modality, tuple[Sequence, ...]] = {"mr": ("dwi", "flair", "adc"), "ct": ("ncct", "cta")}
_SINGLE: dict[Modality, tuple[Sequence, ...]] = {"mr": ("adc", "dwi", "flair"), "ct": ("ncct", "cta")}


def candidates(modality: Modality) -> tuple[Candidate, ...]:
    """Single sequences first, as in the tables."""
    alone = tuple(Candidate(f"{sequence.upper()}-DL", (sequence,)) for sequence in _SINGLE[modality])
    return (*alone, Candidate(BASE, SEQUENCES[modality]), Candidate(SSL, SEQUENCES[modality], pretrained=True))


def plan_of(protocol: UclaFpe, candidate: Candidate) -> StudyPlan:
    """The plan of a candidate's folds. All have the same seed, so that all have the same folds."""
    settings = protocol.settings
    return StudyPlan(
        name=f"{protocol.name}-{candidate.slug}"[:63],
        task="fpe",
        seed=protocol.seed,
        recipe=protocol.recipe,
        model=ModelPlan(
            name="mnt-dl",
            sequences=candidate.sequences,
            base_width=settings.base_width,
            region=protocol.region,
        ),
        training=settings.training,
    )
