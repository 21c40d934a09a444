"""The network of a plan, and its first weights."""

import numpy as np
import torch

from fpe_core.config.study import ModelPlan, StudyPlan
from fpe_core.models.mnt_dl_released import MntDlReleased
from fpe_core.models.planned import initial_state, planned_model
from fpe_core.models.state import layout_of

PLAN = StudyPlan(
    name="trial", task="fpe", seed=7, recipe="mnt-dl-ct", model=ModelPlan(sequences=("ncct", "cta"), base_width=8)
)


def test_the_network_is_the_one_that_the_plan_describes() -> None:
    model = planned_model(PLAN)
    assert isinstance(model, MntDlReleased)
    assert model.conv1.weight.shape[:2] == (8, 2)
    wider = PLAN.model_copy(update={"model": ModelPlan(base_width=16, non_local=True)})
    other = planned_model(wider)
    assert other.conv1.weight.shape[:2] == (16, 3)  # type: ignore[union-attr, index]
    assert {e.name for e in layout_of(other).entries} != {e.name for e in layout_of(model).entries}


def test_first_weights_follow_from_the_plan_alone() -> None:
    torch.manual_seed(1)
    first = initial_state(PLAN)
    torch.manual_seed(2)
    torch.rand(100)
    np.testing.assert_array_equal(initial_state(PLAN).values, first.values)
    assert first.layout == layout_of(planned_model(PLAN))
    other = initial_state(PLAN.model_copy(update={"seed": 8}))
    assert not np.array_equal(other["conv1.weight"], first["conv1.weight"])


def test_drawing_first_weights_disturbs_no_other_draw() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    initial_state(PLAN)
    assert torch.equal(torch.rand(3), expected)
