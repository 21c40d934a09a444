"""Which networks private training takes."""

import subprocess
import sys
from typing import get_args

import pytest
from torch import nn

from fpe_core.config.study import SLICE_MODELS, ModelName
from fpe_core.errors import ModelError
from fpe_core.models.factory import build_model
from fpe_core.training.private import check_private


@pytest.mark.parametrize("name", get_args(ModelName))
def test_every_network_is_taken_with_group_normalisation_and_refused_without(name: str) -> None:
    options = {"base_width": 8} if name in SLICE_MODELS else {}
    model = build_model(name, in_channels=3, norm="group", **options).eval()
    check_private(model)
    assert model.training
    with pytest.raises(ModelError, match=r"treat each case alone; .* is BatchNorm[23]d") as caught:
        check_private(build_model(name, in_channels=3, **options))
    assert caught.value.hint == "set model.norm to group"


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (nn.BatchNorm2d(4), "BatchNorm2d"),
        (nn.BatchNorm2d(4).requires_grad_(False), "BatchNorm2d"),
        (nn.BatchNorm3d(4, affine=False), "BatchNorm3d"),
        (nn.InstanceNorm2d(4, track_running_stats=True), "InstanceNorm2d"),
    ],
)
def test_layers_that_gather_what_they_saw_are_refused_trained_or_not(layer: nn.Module, kind: str) -> None:
    with pytest.raises(ModelError, match=f"treat each case alone; 1 is {kind}"):
        check_private(nn.Sequential(nn.Conv2d(3, 4, 3), layer))


def test_what_opacus_refuses_is_refused_with_its_reason() -> None:
    with pytest.raises(ModelError, match=r"cannot take this network: .*nn\.LSTM"):
        check_private(nn.Sequential(nn.LSTM(3, 4)))


def test_layers_without_memory_are_taken() -> None:
    layers = [nn.GroupNorm(2, 4), nn.InstanceNorm2d(4), nn.LayerNorm(4), nn.Dropout(0.5)]
    check_private(nn.Sequential(nn.Conv2d(3, 4, 3), *layers))
    check_private(nn.Sequential(nn.Linear(3, 4)).requires_grad_(False))


def test_the_import_leaves_the_log_alone() -> None:
    code = "import logging, fpe_core.training.private; print(logging.getLogger().handlers)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
