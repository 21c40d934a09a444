"""The comparison that every federation owes its sites: the same network, trained on one site's data only."""

from torch import nn

from fpe_core.config.study import StudyPlan
from fpe_core.data.dataset import SplitCases
from fpe_core.models.state import write_state
from fpe_core.seeds import derive_seed
from fpe_core.state import FlatState
from fpe_core.training.hardware import Hardware
from fpe_core.training.local_round import PrivateStudy, train_round
from fpe_core.training.predict import Progress, no_progress, predict


def round_seed(plan: StudyPlan, site: str, round_number: int) -> int:
    """The seed of one site's local round; the federated and the lone training share it."""
    return derive_seed(plan.seed, "round", site, round_number)


def train_alone(
    model: nn.Module,
    initial: FlatState,
    *,
    site: str,
    cases: SplitCases,
    plan: StudyPlan,
    hardware: Hardware,
    progress: Progress = no_progress,
) -> FlatState:
    """Train for as many rounds as the federation does, on this site's cases only.

    The weights are chosen as the federation chooses them: by the lowest validation loss among the models after 0, 1, …
    rounds, the earliest of equals.

    Returns:
        The chosen weights. A federation of this one site gives the same, bit for bit, unless its training is private:
        the noise is never the same.
    """

    def validation_loss(state: FlatState) -> float:
        write_state(model, state)
        return predict(model, cases.validation, plan=plan.training, hardware=hardware, progress=progress).loss

    spent: dict[str, object] | None = None
    current = best = initial
    best_loss = validation_loss(initial)
    for round_number in range(1, plan.federation.rounds + 1):
        outcome = train_round(
            model,
            current,
            train=cases.train,
            validation=cases.validation,
            plan=plan.training,
            seed=round_seed(plan, site, round_number),
            hardware=hardware,
            progress=progress,
            private=PrivateStudy(plan.federation.rounds, spent) if plan.training.privacy else None,
        )
        spent = outcome.accountant
        # As the server does it with the update that it gets, so that not even the rounding differs.
        current = current.plus(outcome.trained.minus(current))
        loss = validation_loss(current)
        if loss < best_loss:
            best, best_loss = current, loss
    return best
