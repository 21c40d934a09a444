"""Loads the authors' own checkpoints of MNT-DL, in each of the forms they come in."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fpe_core.errors import StateMismatch

_SSL_PREFIX = "module.encoder."
"""Self-supervision wraps the network; its predictor stands beside the encoder, its projector in place of `fc`."""
_SSL_ONLY = re.compile(r"module\.predictor\.|module\.encoder\.fc\.\d+\.")

_ALIASES = (
    # The released module registers its stages a second time, inside containers that are shared or stand five times.
    (re.compile(r"shared_features\.0\."), "conv1."),
    (re.compile(r"shared_features\.1\."), "bn1."),
    (re.compile(r"shared_features\.4\."), "layer1."),
    (re.compile(r"ind_features\.[0-4]\.0\."), "layer2."),
    (re.compile(r"ind_features\.[0-4]\.1\."), "layer3."),
    (re.compile(r"ind_features\.[0-4]\.2\."), "layer4."),
)


def load_released_state_dict(model: nn.Module, state_dict: Mapping[str, Tensor]) -> None:
    """Copy a released checkpoint's weights into an `MntDlReleased` of the same width, channels and variant.

    Accepts the unique names, the names repeated under `shared_features.*` and `ind_features.0-4.*`, either of them
    with the prefix `module.encoder.` of self-supervision, and what `model.state_dict()` itself gives. The tensors that
    no output depends on (`attn_2` … `attn_5`, `fc`, and the projector and predictor of self-supervision) are left out;
    each of the first two groups must be whole or absent. The model is untouched unless everything fits.

    Raises:
        StateMismatch: a tensor is missing, unexpected or of another shape, or two copies of one tensor differ. The
            message names the tensor as the checkpoint does, where the checkpoint has it.
    """
    unique = _without_aliases(state_dict)
    used = model.state_dict()
    expected = {name: tensor.shape for name, tensor in used.items()}
    for group in _unused_shapes(used):
        if group.keys() & unique.keys():
            expected |= group
    _check_names_and_shapes(unique, expected)
    model.load_state_dict({name: unique[name][1] for name in used})


def _without_aliases(state_dict: Mapping[str, Tensor]) -> dict[str, tuple[str, Tensor]]:
    """By unique name: the checkpoint's own name of the first copy, and the tensor."""
    unique: dict[str, tuple[str, Tensor]] = {}
    for given, tensor in state_dict.items():
        if _SSL_ONLY.match(given):
            continue
        name = _unique_name(given)
        first_given, first = unique.setdefault(name, (given, tensor))
        if not torch.equal(first, tensor):
            raise StateMismatch(f"{given} should equal {first_given}: both are copies of {name}")
    return unique


def _unique_name(given: str) -> str:
    name = given.removeprefix(_SSL_PREFIX)
    for alias, target in _ALIASES:
        name = alias.sub(target, name, count=1) if alias.match(name) else name
    return name


def _unused_shapes(used: Mapping[str, Tensor]) -> tuple[dict[str, torch.Size], dict[str, torch.Size]]:
    """The two groups of released tensors that no output depends on."""
    attention = {name: tensor.shape for name, tensor in used.items() if name.startswith("attn_1.")}
    copies = {name.replace("attn_1", f"attn_{k}"): shape for k in range(2, 6) for name, shape in attention.items()}
    num_slices, num_features = used["classifier.1.weight"].numel(), used["fc_0_2.weight"].numel()
    return copies, {"fc.weight": torch.Size([1, num_slices * num_features]), "fc.bias": torch.Size([1])}


def _check_names_and_shapes(unique: Mapping[str, tuple[str, Tensor]], expected: Mapping[str, torch.Size]) -> None:
    if unexpected := unique.keys() - expected.keys():
        given = min(unique[name][0] for name in unexpected)
        raise StateMismatch(f"{given}: the network has no such tensor ({len(unexpected)} in all)")
    if missing := expected.keys() - unique.keys():
        raise StateMismatch(f"{min(missing)}: missing in the checkpoint ({len(missing)} in all)")
    for name, shape in expected.items():
        given, tensor = unique[name]
        if tensor.shape != shape:
            raise StateMismatch(f"{given}: shape should be {list(shape)}, got {list(tensor.shape)}")
