"""Which layer of a network Grad-CAM looks at, and how that layer's grid came from the image's."""

from typing import NamedTuple

from torch import nn

from fpe_core.errors import ModelError
from fpe_core.evaluation.explain.placement import Halvings, centred, padded_behind, paired


class _Layout(NamedTuple):
    last_stage: str
    halvings: Halvings


_RESNET: Halvings = (centred,) * 5
_LAYOUTS = {
    "MntDlReleased": _Layout("layer4", _RESNET),
    "MntDl": _Layout("encoder.layer4", _RESNET),
    "ScaNet": _Layout("encoder.layer4", _RESNET),
    "ResNet34Slices": _Layout("encoder.layer4", _RESNET),
    "DenseNet169": _Layout("network.features.norm5", (centred, centred, paired, paired, paired)),
    "EfficientNetB0": _Layout("network._bn1", (padded_behind,) * 5),
}
"""By the name of the class, so that MONAI is not loaded for a network that does not need it. The three-dimensional
networks are looked at where DAFT stands by default, so that maps with and without DAFT are of the same features."""


def find_layer(model: nn.Module, name: str | None) -> nn.Module:
    """The layer of that dotted name; without a name the last stage of the network's encoder.

    Raises:
        ModelError: the network has no such layer, or is not one of ours and no layer is named.
    """
    layout = _LAYOUTS.get(type(model).__name__)
    if name is None and layout is None:
        raise ModelError(
            f"{type(model).__name__} has no default layer", hint="name one, such as layer='encoder.layer4'"
        )
    wanted = name if name is not None or layout is None else layout.last_stage
    modules: dict[str, nn.Module] = dict(model.named_modules())
    if not wanted or wanted not in modules:
        top = ", ".join(child for child, _ in model.named_children())
        raise ModelError(f"the network has no layer {wanted!r}", hint=f"its parts: {top}; parts of parts after a dot")
    return modules[wanted]


def halvings_of(model: nn.Module) -> Halvings:
    """How the grids of the network's layers shrink, for `place`; empty for a network that is not one of ours."""
    layout = _LAYOUTS.get(type(model).__name__)
    return layout.halvings if layout else ()
