"""Every form in which the authors' checkpoints come, and every way in which one can be wrong."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fpe_core.errors import StateMismatch
from fpe_core.models.mnt_dl_released import MntDlReleased, load_released_state_dict

KEYS = json.loads((Path(__file__).parents[2] / "reference" / "mnt_dl_state_keys.json").read_text())
STAGES = {"conv1.": "0.", "bn1.": "1.", "layer1.": "4."}
LOCAL_STAGES = {"layer2.": "0.", "layer3.": "1.", "layer4.": "2."}


def small_model(*, non_local: bool = False) -> MntDlReleased:
    return MntDlReleased(in_channels=3, base_width=8, non_local=non_local)


def unique_checkpoint(*, non_local: bool = False) -> dict[str, Tensor]:
    """What a checkpoint of width 8 holds under the unique names, the tensors without use among them."""
    state = small_model(non_local=non_local).state_dict()
    checkpoint = {name: torch.rand(tensor.shape).to(tensor.dtype) for name, tensor in state.items()}
    for name in [name for name in checkpoint if name.startswith("attn_1.")]:
        for k in range(2, 6):
            checkpoint[name.replace("attn_1", f"attn_{k}")] = torch.rand(checkpoint[name].shape)
    return checkpoint | {"fc.weight": torch.rand(1, 25 * 64), "fc.bias": torch.rand(1)}


def aliased_checkpoint(*, keep_unique: bool, non_local: bool = False) -> dict[str, Tensor]:
    """The shared stages repeated as the released module registers them, beside or instead of the unique names."""
    checkpoint: dict[str, Tensor] = {}
    for name, tensor in unique_checkpoint(non_local=non_local).items():
        aliases = [f"shared_features.{at}" + name.removeprefix(s) for s, at in STAGES.items() if name.startswith(s)]
        for stage, at in LOCAL_STAGES.items():
            if name.startswith(stage):
                aliases += [f"ind_features.{i}.{at}{name.removeprefix(stage)}" for i in range(5)]
        if keep_unique or not aliases:
            checkpoint[name] = tensor
        checkpoint |= {alias: tensor.clone() for alias in aliases}
    return checkpoint


def self_supervised_checkpoint() -> dict[str, Tensor]:
    """With the wrapper's prefix, a projector in place of `fc`, and a predictor beside the encoder."""
    plain = {name: tensor for name, tensor in unique_checkpoint().items() if not name.startswith("fc.")}
    checkpoint = {f"module.encoder.{name}": tensor for name, tensor in plain.items()}
    extra = {"module.encoder.fc.0.weight": torch.rand(4, 4), "module.predictor.3.bias": torch.rand(4)}
    return checkpoint | extra


FORMS = {
    "unique": unique_checkpoint(),
    "own": small_model().state_dict(),
    "aliased": aliased_checkpoint(keep_unique=True),
    "aliases only": aliased_checkpoint(keep_unique=False),
    "prefixed": {f"module.encoder.{k}": v for k, v in aliased_checkpoint(keep_unique=True).items()},
    "self-supervised": self_supervised_checkpoint(),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_loaded(form: str) -> None:
    model, checkpoint = small_model(), FORMS[form]
    load_released_state_dict(model, checkpoint)
    names = {"layer3.2.conv1.weight", "bn1.running_var", "layer1.0.bn1.bias", "attn_1.qkv.weight", "classifier.1.bias"}
    for name in names:
        copies = [v for k, v in checkpoint.items() if k.removeprefix("module.encoder.") in aliases_of(name)]
        assert copies, name
        assert all(torch.equal(model.state_dict()[name], copy) for copy in copies)


def aliases_of(name: str) -> set[str]:
    stage, rest = name.split(".", maxsplit=1)
    alias = {"bn1": ["shared_features.1"], "layer1": ["shared_features.4"]}.get(stage, [])
    alias += [f"ind_features.{i}.1" for i in range(5)] if stage == "layer3" else []
    return {name} | {f"{prefix}.{rest}" for prefix in alias}


def test_the_non_local_variant_is_loaded() -> None:
    model = small_model(non_local=True)
    checkpoint = aliased_checkpoint(keep_unique=True, non_local=True)
    load_released_state_dict(model, checkpoint)
    assert torch.equal(
        model.state_dict()["layer3.5.W_z.1.running_var"], checkpoint["ind_features.4.1.5.W_z.1.running_var"]
    )


@pytest.mark.parametrize("variant", ["released", "nonlocal"])
def test_names_and_shapes_are_the_published_ones_without_those_of_no_use(variant: str) -> None:
    with torch.device("meta"):
        model = MntDlReleased(in_channels=3, non_local=variant == "nonlocal")
    unused = ("attn_2.", "attn_3.", "attn_4.", "attn_5.", "fc.")
    published = {name: shape for name, shape in KEYS[variant].items() if not name.startswith(unused)}
    assert {name: list(tensor.shape) for name, tensor in model.state_dict().items()} == published


def test_no_weight_is_held_twice() -> None:
    tensors = list(small_model(non_local=True).state_dict().values())
    assert len({tensor.data_ptr() for tensor in tensors}) == len(tensors)


@pytest.mark.parametrize("name", ["conv1.weight", "layer3.4.bn2.running_mean", "attn_4.proj.bias", "fc.bias"])
def test_a_missing_tensor_is_named(name: str) -> None:
    checkpoint = unique_checkpoint()
    del checkpoint[name]
    with pytest.raises(StateMismatch, match=rf"^{name}: missing"):
        load_released_state_dict(small_model(), checkpoint)


@pytest.mark.parametrize("name", ["extra.weight", "layer3.6.conv1.weight", "shared_features.2.weight", "fc.0.weight"])
def test_an_unexpected_tensor_is_named(name: str) -> None:
    with pytest.raises(StateMismatch, match=rf"^{name}: the network has no such tensor"):
        load_released_state_dict(small_model(), unique_checkpoint() | {name: torch.zeros(1)})


@pytest.mark.parametrize("name", ["layer2.0.conv1.weight", "attn_3.qkv.weight", "fc.weight"])
def test_a_tensor_of_another_shape_is_named(name: str) -> None:
    with pytest.raises(StateMismatch, match=rf"^{name}: shape should be \[.+\], got \[2, 2\]"):
        load_released_state_dict(small_model(), unique_checkpoint() | {name: torch.zeros(2, 2)})


def test_copies_that_differ_are_named() -> None:
    checkpoint = aliased_checkpoint(keep_unique=True)
    checkpoint["ind_features.3.0.1.conv2.weight"] += 1
    with pytest.raises(
        StateMismatch, match=r"ind_features\.3\.0\.1\.conv2\.weight should equal layer2\.1\.conv2\.weight"
    ):
        load_released_state_dict(small_model(), checkpoint)


def test_a_refused_checkpoint_leaves_the_model_as_it_was() -> None:
    model = small_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(StateMismatch):
        load_released_state_dict(model, unique_checkpoint() | {"classifier.1.bias": torch.zeros(2)})
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
