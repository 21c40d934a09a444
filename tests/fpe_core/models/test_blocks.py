"""Every tensor of every network is in a block, and in the right one."""

from typing import Any, get_args

import pytest
from torch import nn

from fpe_core.config.study import SLICE_MODELS, ModelName
from fpe_core.models import build_model
from fpe_core.models.blocks import Block, block_map
from fpe_core.models.state import read_state, write_state

SMALL: dict[str, dict[str, Any]] = {
    "mnt-dl": {"base_width": 8, "num_slices": 10, "num_neighbourhoods": 3},
    "mnt-dl-released": {"base_width": 8, "non_local": True},
    "scanet": {"base_width": 8, "num_slices": 10, "num_neighbourhoods": 3},
    "resnet34": {"base_width": 8, "num_slices": 10},
    "densenet169": {"daft": True, "num_tabular": 4},
    "efficientnet-b0": {"daft": True, "num_tabular": 4},
}
every_network = pytest.mark.parametrize("name", get_args(ModelName))
each_norm = pytest.mark.parametrize("norm", ["batch", "group"])
NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


@every_network
@each_norm
def test_every_tensor_has_a_block(name: str, norm: Any) -> None:
    model = build_model(name, in_channels=2, norm=norm, **SMALL[name])
    blocks = block_map(model)
    assert list(blocks) == list(model.state_dict())
    assert set(blocks.values()) <= set(get_args(Block))
    assert {"stem", "encoder", "head", "norm"} <= set(blocks.values())
    assert ("attention" in blocks.values()) == (name in SLICE_MODELS - {"resnet34"})
    assert ("daft" in blocks.values()) == (name not in SLICE_MODELS)


@every_network
@each_norm
def test_the_norm_block_is_the_norms(name: str, norm: Any) -> None:
    model = build_model(name, in_channels=2, norm=norm, **SMALL[name])
    expected = {
        f"{path}.{tensor}"
        for path, module in model.named_modules()
        if isinstance(module, NORMS)
        for tensor in module.state_dict()
    }
    assert {tensor for tensor, block in block_map(model).items() if block == "norm"} == expected


@every_network
def test_the_stem_is_the_one_convolution_that_sees_the_sequences(name: str) -> None:
    two, three = (build_model(name, in_channels=channels, **SMALL[name]) for channels in (2, 3))
    widths = three.state_dict()
    wider = [tensor for tensor, value in two.state_dict().items() if value.shape != widths[tensor].shape]
    assert wider == [tensor for tensor, block in block_map(two).items() if block == "stem"]
    assert len(wider) == 1


@pytest.mark.parametrize("name", ["mnt-dl", "scanet"])
def test_blocks_of_the_networks_over_slices(name: str) -> None:
    blocks = block_map(build_model(name, in_channels=2, **SMALL[name]))
    parts = {
        "mnt-dl": {"attention": ("encoder.layer3.5.", "cross_scale.", "importance."), "head": ("subnet_", "fusion_")},
        "scanet": {"attention": ("encoder.layer3.6.", "neighbourhoods."), "head": ("branch_",)},
    }[name]
    for block, beginnings in parts.items():
        own = {tensor for tensor in blocks if tensor.startswith(beginnings)}
        assert {tensor for tensor in own if blocks[tensor] != "norm"} == {t for t, b in blocks.items() if b == block}
        assert all(any(tensor.startswith(start) for tensor in own) for start in beginnings)


@every_network
@each_norm
def test_the_weights_of_every_network_can_be_read_and_written(name: str, norm: Any) -> None:
    source, target = (build_model(name, in_channels=2, norm=norm, **SMALL[name]) for _ in range(2))
    write_state(target, read_state(source))
    for ours, theirs in zip(source.state_dict().values(), target.state_dict().values(), strict=True):
        assert ours.equal(theirs)
