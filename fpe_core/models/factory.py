"""Builds a network from its name in the study plan."""

from collections.abc import Callable

from torch import nn

from fpe_core.errors import ModelUnknown
from fpe_core.models.mnt_dl import MntDlReleased

_MODELS: dict[str, Callable[..., nn.Module]] = {"mnt-dl-released": MntDlReleased}


def build_model(name: str, *, in_channels: int, base_width: int = 64, non_local: bool = False) -> nn.Module:
    """A freshly initialised network; its weights are drawn from torch's global generator.

    Args:
        name: as in a study plan's `model.name`.
        in_channels: number of sequences (MR: 3, CT: 2).
        base_width: channels of the first stage, which every other width follows; 64 is the published network.
        non_local: adds the non-local block to the third stage.

    Raises:
        ModelUnknown: there is no network of that name.
    """
    if name not in _MODELS:
        raise ModelUnknown(f"unknown model {name!r}", hint=f"valid names: {', '.join(sorted(_MODELS))}")
    return _MODELS[name](in_channels=in_channels, base_width=base_width, non_local=non_local)
