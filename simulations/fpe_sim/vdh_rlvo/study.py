"""Everything that a run of the protocol found, before it becomes tables, figures and sentences."""

from dataclasses import dataclass
from functools import cached_property

from fpe_core.evaluation.comparison import AucComparison
from fpe_core.models.clinical import Baseline
from fpe_sim.vdh_rlvo.ablation import AblationStudy, best_variant
from fpe_sim.vdh_rlvo.baselines import FoundOddsRatios
from fpe_sim.vdh_rlvo.cohort import StudyCohort
from fpe_sim.vdh_rlvo.gain import DaftGain, daft_gain, overall_gain
from fpe_sim.vdh_rlvo.judged import PARTS, Folds, Part
from fpe_sim.vdh_rlvo.networks import Variant
from fpe_sim.vdh_rlvo.protocol import VdhProtocol
from fpe_sim.vdh_rlvo.trained import TrainedModel


@dataclass(frozen=True, eq=False)
class Study:
    """One finished run.

    Attributes:
        protocol: as it was run.
        cohort: cases and their division.
        clinical: folds of the regressions.
        odds: odds ratios in the development cohort.
        models: networks by variant, in the order of table 3.
        ablation: models A, B and C; None in a run without DAFT.
    """

    protocol: VdhProtocol
    cohort: StudyCohort
    clinical: dict[Baseline, Folds]
    odds: FoundOddsRatios
    models: dict[Variant, TrainedModel]
    ablation: AblationStudy | None

    @property
    def best(self) -> Variant:
        """The variant with the largest mean AUC in validation."""
        best = best_variant(self.models, with_daft=False)
        if best is None:
            raise ValueError("a run should have a network at least")
        return best

    @property
    def gains(self) -> tuple[DaftGain, ...]:
        """Each variant with DAFT against the same network without it, where both were trained."""
        return tuple(
            daft_gain(variant, model.folds, self.models[variant.without_daft].folds)
            for variant, model in self.models.items()
            if variant.has_daft and variant.without_daft in self.models
        )

    @property
    def network_pairs(self) -> tuple[tuple[Folds, Folds], ...]:
        """Folds of each single network with DAFT, and of the same network without it, where both were trained."""
        return tuple(
            (folds, self.models[variant.without_daft].inputs[seen])
            for variant, model in self.models.items()
            if variant.has_daft and variant.without_daft in self.models
            for seen, folds in model.inputs.items()
        )

    @cached_property
    def overall_gains(self) -> dict[Part, AucComparison]:
        """DAFT's gain over all `network_pairs`, by part; empty without pairs."""
        pairs = self.network_pairs
        return {part: overall_gain(pairs, part) for part in PARTS} if pairs else {}

    @property
    def images_alone(self) -> Variant | None:
        """The network of the paper's table 2: the first encoder, plain; None in a run without it."""
        plain = Variant(self.protocol.encoders[0], "plain")
        return plain if plain in self.models else None
