"""A pre-trained encoder in a supervised network: what moves, what stays, and that the report is complete."""

from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from fpe_core.config.study import ModelName
from fpe_core.errors import StateMismatch
from fpe_core.models import build_model
from fpe_core.models.blocks import block_map
from fpe_core.models.simsiam import SimSiam, simsiam_loss
from fpe_core.models.state import read_state
from fpe_core.models.transfer import transfer_encoder
from fpe_core.state import FlatState

SLICES = ("mnt-dl", "mnt-dl-released", "scanet", "resnet34")


def network(name: str, *, seed: int, in_channels: int = 2, **options: int | bool) -> nn.Module:
    torch.manual_seed(seed)
    width = {"base_width": 8} if name in SLICES else {}
    return build_model(name, in_channels=in_channels, **width, **options)


def pretrained(name: str, **options: int | bool) -> FlatState:
    model = SimSiam(network(name, seed=1, **options), projector_width=16, projection_size=16, predictor_width=8)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(1)  # no tensor is left at a value that a fresh network has
    return read_state(model)


@pytest.mark.parametrize("name", get_args(ModelName))
def test_what_moves_is_what_self_supervision_trains(name: str) -> None:
    model = SimSiam(network(name, seed=1), projector_width=16, projection_size=16, predictor_width=8)
    shape = (2, 2, 26, 32, 32) if name in SLICES else (2, 2, 32, 32, 32)
    first, second = (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    simsiam_loss(model(first, second)).backward()
    trained = {name for name, parameter in model.encoder.named_parameters() if parameter.grad is not None}
    target = network(name, seed=2)
    moved = set(transfer_encoder(read_state(model), target).moved)
    assert moved & dict(target.named_parameters()).keys() == trained


@pytest.mark.parametrize("name", get_args(ModelName))
def test_the_whole_encoder_moves_and_nothing_else(name: str) -> None:
    source, target = pretrained(name), network(name, seed=2)
    before = read_state(target)
    report = transfer_encoder(source, target)
    after, blocks = read_state(target), block_map(target)
    assert {n for n, block in blocks.items() if block in ("stem", "encoder")} <= set(report.moved)
    assert not {n for n, block in blocks.items() if block == "head"} & set(report.moved)
    for tensor in blocks:
        expected = source[f"encoder.{tensor}"] if tensor in report.moved else before[tensor]
        np.testing.assert_array_equal(after[tensor], expected, err_msg=tensor)
    assert report.reshaped == ()


@pytest.mark.parametrize("name", get_args(ModelName))
def test_every_tensor_is_reported_once(name: str) -> None:
    source, target = pretrained(name), network(name, seed=2)
    report = transfer_encoder(source, target)
    assert sorted([*report.moved, *report.kept]) == sorted(target.state_dict())
    names = [entry.name for entry in source.layout.entries]
    assert sorted([*(f"encoder.{n}" for n in report.moved), *report.unused]) == sorted(names)
    assert report.num_moved + report.num_kept == sum(t.numel() for t in target.state_dict().values())
    assert f"moved {len(report.moved)} tensors with {report.num_moved:,}" in str(report)


@pytest.mark.parametrize("name", ["mnt-dl", "densenet169"])
def test_a_stem_for_other_sequences_stays_and_is_named(name: str) -> None:
    source, target = pretrained(name), network(name, seed=2, in_channels=3)
    blocks, before = block_map(target), read_state(target)
    report = transfer_encoder(source, target)
    assert report.reshaped == tuple(n for n, block in blocks.items() if block == "stem")
    np.testing.assert_array_equal(read_state(target)[report.reshaped[0]], before[report.reshaped[0]])
    assert report.reshaped[0] in str(report)


def test_an_encoder_trained_without_clinical_data_serves_one_with() -> None:
    name = "efficientnet-b0"
    source, target = pretrained(name), network(name, seed=2, daft=True, num_tabular=3)
    report = transfer_encoder(source, target)
    blocks = block_map(target)
    assert {blocks[n] for n in report.kept} == {"daft", "head"}
    assert {blocks[n] for n in report.moved} == {"stem", "encoder", "norm"}


def test_another_network_is_refused() -> None:
    with pytest.raises(StateMismatch, match="no tensor of the pre-trained encoder fits"):
        transfer_encoder(pretrained("densenet169"), network("mnt-dl", seed=2))
