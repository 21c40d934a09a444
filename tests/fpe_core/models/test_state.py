import numpy as np
import pytest
import torch
from torch import nn

from fpe_core.errors import ModelError, StateMismatch
from fpe_core.models.blocks import block_map
from fpe_core.models.mnt_dl_released import MntDlReleased
from fpe_core.models.state import layout_of, read_state, write_state
from fpe_core.protocol import Kind, Reply, ReplyHeader, reply_from_bytes, to_bytes
from fpe_core.state import FlatState, Layout


def small_model(*, non_local: bool = False, in_channels: int = 3) -> MntDlReleased:
    return MntDlReleased(in_channels=in_channels, base_width=8, non_local=non_local)


VARIANTS = pytest.mark.parametrize(("non_local", "in_channels"), [(False, 3), (False, 2), (True, 3), (True, 2)])


@VARIANTS
def test_layout_lists_every_parameter_and_buffer_once(non_local: bool, in_channels: int) -> None:
    model = small_model(non_local=non_local, in_channels=in_channels)
    names = [name for name, _ in model.named_parameters()] + [name for name, _ in model.named_buffers()]
    layout = layout_of(model)
    assert sorted(entry.name for entry in layout.entries) == sorted(names)
    assert layout.size == sum(tensor.numel() for tensor in model.state_dict().values())
    assert Layout.from_json(layout.to_json()) == layout


@VARIANTS
def test_every_tensor_is_in_its_block(non_local: bool, in_channels: int) -> None:
    model = small_model(non_local=non_local, in_channels=in_channels)
    blocks = {entry.name: entry.block for entry in layout_of(model).entries}
    norms = {
        f"{path}.{name}"
        for path, module in model.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for name in module.state_dict()
    }
    assert {name for name, block in blocks.items() if block == "norm"} == norms
    assert {name for name, block in blocks.items() if block == "stem"} == {"conv1.weight"}
    heads = {f"fc_{i}_1.{kind}" for i in range(5) for kind in ("weight", "bias")}
    heads |= {"fc_0_2.weight", "fc_0_2.bias", "classifier.1.weight", "classifier.1.bias"}
    assert {name for name, block in blocks.items() if block == "head"} == heads
    attention = (
        {name for name in blocks if name.startswith(("attn_1.", "layer3.5."))} - norms
        if non_local
        else {name for name in blocks if name.startswith("attn_1.")}
    )
    assert {name for name, block in blocks.items() if block == "attention"} == attention
    assert all(name.startswith("layer") for name, block in blocks.items() if block == "encoder")


def test_a_tensor_without_a_block_is_refused() -> None:
    model = small_model()
    model.mystery = nn.Linear(2, 2)
    with pytest.raises(ModelError, match=r"mystery\.weight"):
        block_map(model)


def test_a_dtype_that_cannot_travel_is_refused() -> None:
    with pytest.raises(ModelError, match=r"conv1\.weight should be float32 or int64, got torch\.float16"):
        layout_of(small_model().half())


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_reading_and_writing_is_a_round_trip(memory_format: torch.memory_format) -> None:
    source = small_model(non_local=True).to(memory_format=memory_format)
    source.bn1.num_batches_tracked.fill_(41)
    target = small_model(non_local=True)
    write_state(target, read_state(source))
    for (name, ours), theirs in zip(source.state_dict().items(), target.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name
        assert ours.dtype == theirs.dtype


def test_a_named_tensor_of_the_flat_state_is_the_models() -> None:
    model = small_model().to(memory_format=torch.channels_last)
    np.testing.assert_array_equal(read_state(model)["layer2.0.conv1.weight"], model.layer2[0].conv1.weight.detach())


def test_what_was_read_is_independent_of_the_model() -> None:
    model = small_model()
    state = read_state(model)
    before = state.values.copy()
    with torch.no_grad():
        model.conv1.weight.add_(1)
    np.testing.assert_array_equal(state.values, before)
    write_state(model, state)
    model.conv1.weight.data.add_(1)
    np.testing.assert_array_equal(state.values, before)


def test_integer_buffers_are_rounded() -> None:
    model = small_model()
    state = read_state(model)
    state["bn1.num_batches_tracked"][...] = 6.6
    write_state(model, state)
    assert model.bn1.num_batches_tracked.item() == 7


def test_a_state_that_came_in_a_message_is_written() -> None:
    source, target = small_model(), small_model()
    reply = Reply(ReplyHeader(kind=Kind.TRAIN, study_fingerprint="0" * 64), read_state(source))
    received = reply_from_bytes(to_bytes(reply)).state
    assert received is not None
    write_state(target, received)
    assert torch.equal(target.conv1.weight, source.conv1.weight)


def test_training_goes_on_after_writing() -> None:
    model = small_model()
    write_state(model, read_state(model))
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in model.parameters())


def test_a_state_of_another_network_is_refused_and_the_tensor_named() -> None:
    with pytest.raises(StateMismatch, match=r"conv1\.weight \[8, 3, 7, 7\].+got conv1\.weight \[8, 2, 7, 7\]"):
        write_state(small_model(), read_state(small_model(in_channels=2)))
    model = small_model()
    full = read_state(model)
    short = Layout(full.layout.entries[:-1])
    with pytest.raises(StateMismatch, match=f"expected {len(full.layout.entries)} tensors, got {len(short.entries)}"):
        write_state(model, FlatState(short, full.values[: short.size].copy()))
