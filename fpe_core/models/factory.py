"""Builds a network from its name in the study plan."""

import inspect
from collections.abc import Callable
from typing import Literal, get_args

from torch import nn

from fpe_core.config.study import ModelName
from fpe_core.errors import ModelError, ModelUnknown
from fpe_core.models.norm import use_group_norm


def build_model(
    name: str, *, in_channels: int, norm: Literal["batch", "group"] = "batch", **options: int | bool | str | None
) -> nn.Module:
    """A freshly initialised network; its weights are drawn from torch's global generator.

    Every network maps an image `[B, C, Z, H, W]` to a `ModelOutput`; those that take clinical columns `[B, T]` take
    them as the second argument. `embed` gives the features `[B, embedding_size]` before the heads.

    Args:
        name: as in a study plan's `model.name`.
        in_channels: number of channels of the image (MR: 3, CT: 2).
        norm: which normalisation, see `ModelPlan.norm`.
        options: the network's own, such as `base_width=16` or `daft=True`; its class explains them.

    Raises:
        ModelUnknown: there is no network of that name.
        ModelError: the network has no such option, or not with such a value.
    """
    if name not in get_args(ModelName):
        raise ModelUnknown(f"unknown model {name!r}", hint=f"valid names: {', '.join(sorted(get_args(ModelName)))}")
    if norm not in ("batch", "group") or in_channels < 1:
        raise ModelError(f"norm should be batch or group and in_channels at least 1, got {norm!r} and {in_channels}")
    network = _network(name)
    valid = inspect.signature(network).parameters.keys() - {"in_channels", "encoder_name"}
    if unknown := sorted(options.keys() - valid):
        raise ModelError(f"{name} has no option {unknown[0]}", hint=f"its options: {', '.join(sorted(valid))}")
    model = network(in_channels=in_channels, **options)
    return use_group_norm(model) if norm == "group" else model


def _network(name: str) -> Callable[..., nn.Module]:
    """Imported when asked for: MONAI takes seconds."""
    match name:
        case "mnt-dl":
            from fpe_core.models.mnt_dl import MntDl

            return MntDl
        case "scanet":
            from fpe_core.models.scanet import ScaNet

            return ScaNet
        case "resnet34":
            from fpe_core.models.resnet34_slices import ResNet34Slices

            return ResNet34Slices
        case "densenet169":
            from fpe_core.models.encoders3d import DenseNet169

            return DenseNet169
        case "efficientnet-b0":
            from fpe_core.models.encoders3d import EfficientNetB0

            return EfficientNetB0
        case _:
            from fpe_core.models.mnt_dl_released import MntDlReleased

            return MntDlReleased
