"""The network that a study plan describes, and the weights it starts from."""

import torch
from torch import nn

from fpe_core.config.study import StudyPlan
from fpe_core.models.factory import build_model
from fpe_core.models.state import read_state
from fpe_core.seeds import derive_seed
from fpe_core.state import FlatState


def planned_model(plan: StudyPlan) -> nn.Module:
    """The plan's network, freshly initialised by torch's own generator."""
    return build_model(
        plan.model.name,
        in_channels=len(plan.model.sequences),
        base_width=plan.model.base_width,
        non_local=plan.model.non_local,
    )


def initial_state(plan: StudyPlan) -> FlatState:
    """The study's first weights: the same for the same plan, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(plan.seed, "initial weights"))
        return read_state(planned_model(plan))
