"""All that one run of the protocol has measured, before it is put into tables and sentences."""

from dataclasses import dataclass

from fpe_core.data.inclusion import Flow
from fpe_core.evaluation.delong import delong_interval
from fpe_core.evaluation.folds import MeanSd, summarise_folds
from fpe_core.evaluation.scores import AucInterval
from fpe_sim.protocol_results import CohortFacts
from fpe_sim.ucla_scanet.baseline import BaselineOutcome
from fpe_sim.ucla_scanet.comparison import ModelComparison, compare_models
from fpe_sim.ucla_scanet.held_out import FoldPredictions, pooled
from fpe_sim.ucla_scanet.paper import MODELS, RADIOMICS, RESNET34, SCANET


@dataclass(frozen=True, eq=False)
class ScanetOutcome:
    """One run.

    Attributes:
        facts: the cohort.
        flow: who took part.
        predictions: of each model, by the paper's name, on the held-out folds.
        num_epochs: of each network, the epochs of each fold's training.
        baseline: the radiomics baseline, with the features that it selected.
    """

    facts: CohortFacts
    flow: Flow
    predictions: dict[str, tuple[FoldPredictions, ...]]
    num_epochs: dict[str, tuple[int, ...]]
    baseline: BaselineOutcome

    @property
    def reachable_auc(self) -> float | None:
        """Phantoms only: the best AUC that any model can reach from the images."""
        return self.facts.reachable_auc.get("images")

    def summary(self, model: str) -> dict[str, MeanSd | None]:
        """Mean (SD) over the held-out folds of every score, by the score's name."""
        return summarise_folds([fold.scores for fold in self.predictions[model]])

    def auc(self, model: str) -> MeanSd:
        """Mean (SD) of the AUC over the held-out folds."""
        found = self.summary(model)["auc"]
        # An AUC is never missing: a fold without both classes is refused before.
        return found if found is not None else MeanSd(float("nan"), None, 0)

    def pooled_auc(self, model: str) -> AucInterval:
        """AUC of all held-out cases together, with DeLong's interval."""
        together = pooled(self.predictions[model])
        return delong_interval(together.probabilities, together.labels)

    def comparisons(self) -> tuple[ModelComparison, ...]:
        """SCANet against each of the others."""
        return tuple(compare_models(SCANET, other, self.predictions) for other in (RESNET34, RADIOMICS))

    def order(self) -> tuple[str, ...]:
        """The models from the highest mean AUC to the lowest."""
        return tuple(sorted(MODELS, key=lambda model: -self.auc(model).mean))
