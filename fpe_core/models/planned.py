"""The network that a study plan describes, and the weights it starts from."""

import torch
from torch import nn

from fpe_core.config.study import ModelPlan, StudyPlan
from fpe_core.models.factory import build_model
from fpe_core.models.state import read_state
from fpe_core.seeds import derive_seed
from fpe_core.state import FlatState


def planned_model(plan: StudyPlan) -> nn.Module:
    """The plan's network, freshly initialised by torch's own generator."""
    model = plan.model
    return build_model(model.name, in_channels=len(model.channels), norm=model.norm, **_options(model))


def _options(model: ModelPlan) -> dict[str, int | bool]:
    match model.name:
        case "mnt-dl-released":
            return {"base_width": model.base_width, "non_local": model.non_local}
        case "mnt-dl" | "scanet":
            return {
                "base_width": model.base_width,
                "num_slices": model.num_slices,
                "num_neighbourhoods": model.num_neighbourhoods,
            }
        case "resnet34":
            return {"base_width": model.base_width, "num_slices": model.num_slices}
        case _:
            return {"daft": bool(model.clinical), "num_tabular": len(model.clinical)}


def initial_state(plan: StudyPlan) -> FlatState:
    """The study's first weights: the same for the same plan, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(plan.seed, "initial weights"))
        return read_state(planned_model(plan))
