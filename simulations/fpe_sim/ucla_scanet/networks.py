"""The two networks, trained once for each held-out fold."""

from collections.abc import Sequence
from typing import Final

from fpe_core.config.study import ModelName, ModelPlan, StudyPlan
from fpe_core.config.study import Sequence as ImageSequence
from fpe_core.seeds import derive_seed
from fpe_core.training.fold_store import FoldOutcome
from fpe_sim.cohorts.ready import ReadyCohort, protocol_cases
from fpe_sim.ray_tasks import Progress
from fpe_sim.run_context import RunContext
from fpe_sim.trainings import Training, cross_validate_all
from fpe_sim.ucla_scanet.held_out import TASK, FoldPredictions, HeldOut
from fpe_sim.ucla_scanet.paper import RESNET34, SCANET
from fpe_sim.ucla_scanet.protocol import UclaScanet

SEQUENCES: Final[tuple[ImageSequence, ...]] = ("ncct", "cta")
NETWORKS: Final[dict[str, ModelName]] = {RESNET34: "resnet34", SCANET: "scanet"}
_INNER_FOLD = 1
"""Of a fold's development cases, the inner fold that is for early stopping and the threshold."""


def network_plan(protocol: UclaScanet, network: ModelName, fold: int) -> StudyPlan:
    """How one network is trained for one held-out fold. Both networks have the same seed, so the same inner folds."""
    setting = protocol.setting
    return StudyPlan(
        name=f"{protocol.name}-{network}"[:63],
        task=TASK,
        seed=derive_seed(protocol.seed, "network", fold) % 2**32,
        recipe=setting.recipe,
        model=ModelPlan(name=network, sequences=SEQUENCES, base_width=setting.base_width),
        training=setting.training,
    )


def trainings(protocol: UclaScanet, cohort: ReadyCohort, folds: Sequence[HeldOut]) -> tuple[Training, ...]:
    """A training for each network and fold: the fold's cases are the test cohort, all others the development cohort."""
    return tuple(
        Training(
            name=_name(network, fold.number),
            plan=plan,
            cases=protocol_cases(cohort, plan, fold.development, fold.test),
            num_folds=protocol.cross_validation.inner_folds,
            only_folds=(_INNER_FOLD,),
        )
        for network in NETWORKS.values()
        for fold in folds
        for plan in [network_plan(protocol, network, fold.number)]
    )


def train_networks(
    protocol: UclaScanet,
    cohort: ReadyCohort,
    folds: Sequence[HeldOut],
    *,
    context: RunContext,
    progress: Progress,
) -> dict[str, tuple[FoldOutcome, ...]]:
    """Train both networks; the outcomes of the held-out folds in their order, by the paper's name of the network."""
    done = cross_validate_all(trainings(protocol, cohort, folds), context=context, progress=progress)
    return {title: tuple(done[_name(network, fold.number)][0] for fold in folds) for title, network in NETWORKS.items()}


def held_out_predictions(outcomes: Sequence[FoldOutcome]) -> tuple[FoldPredictions, ...]:
    """What each fold's network says about the fold that it has not seen."""
    return tuple(
        FoldPredictions(number, outcome.test.probabilities, outcome.test.labels, outcome.threshold)
        for number, outcome in enumerate(outcomes, start=1)
    )


def _name(network: ModelName, fold: int) -> str:
    return f"{network}-without-fold-{fold}"
