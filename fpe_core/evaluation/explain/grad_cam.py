"""Grad-CAM: where in the image a network finds what it predicts from (Selvaraju et al., ICCV 2017)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from captum.attr import LayerGradCam
from torch import Tensor, nn

from fpe_core.errors import ModelError, TrainingDiverged
from fpe_core.evaluation.explain.layers import find_layer, halvings_of
from fpe_core.evaluation.explain.placement import Halvings, place
from fpe_core.evaluation.explain.probing import check_image, on_device_of, probing


def grad_cam(model: nn.Module, image: Tensor, tabular: Tensor | None = None, *, layer: str | None = None) -> Tensor:
    """Attention maps of a batch for the logit of the prediction: what speaks for the positive label.

    Each channel of the layer is weighted by its mean gradient, the weighted channels are summed, and negative sums are
    dropped. A network over slices has them in its batch: there each slice has its own weights and its own map.

    The model keeps its mode, its parameters' gradients and their `requires_grad`.

    Args:
        image: `[B, C, Z, H, W]` float.
        tabular: `[B, T]` float, scaled clinical columns, for a network that takes them.
        layer: dotted name of the layer to look at; without one the last stage of the encoder. An earlier stage gives a
            finer map of simpler features.

    Returns:
        `[B, Z, H, W]` float32 on the model's device, divided by its maximum over each case: 0 to 1. A case in which
        nothing speaks for the positive label has a map of zeros. Slices that the network does not see are 0.

    Raises:
        ModelError: the inputs do not fit, or the network has no such layer.
        TrainingDiverged: the network's numbers are not finite.
    """
    check_image(image)
    seen = on_device_of(model, image)
    columns = None if tabular is None else on_device_of(model, tabular)
    with probing(model):
        captum = LayerGradCam(_logit_of(model), find_layer(model, layer))
        maps: Tensor = captum.attribute(seen, additional_forward_args=columns)
    return on_image(maps.detach()[:, 0], image, halvings_of(model))


def weighted_channels(gradient: Tensor, activation: Tensor) -> Tensor:
    """Grad-CAM's sum over channels before its ReLU: `[N, C, *cells]` twice to `[N, *cells]`."""
    weights = gradient.flatten(2).mean(dim=2)
    return torch.einsum("nc,nc...->n...", weights, activation)


def on_image(maps: Tensor, image: Tensor, halvings: Halvings) -> Tensor:
    """Signed maps of a layer as attention on the image's grid: `[B, Z, H, W]` float32, 0 to 1.

    Args:
        maps: `[B, d, h, w]`, or by slice `[B · slices, h, w]`, the slices of a case side by side from the first on.
        image: `[B, C, Z, H, W]`, for its sizes.
        halvings: how the layer's grid came from the image's.

    Raises:
        ModelError: the maps are neither.
        TrainingDiverged: they are not finite.
    """
    if not torch.isfinite(maps).all():
        raise TrainingDiverged("the network's features or gradients are not finite: there is nothing to explain")
    cases, (depth, height, width) = len(image), image.shape[2:]
    positive = maps.float().relu()
    if positive.ndim == 4 and len(positive) == cases:
        return _scaled_to_one(place(positive, (depth, height, width), halvings))
    slices = len(positive) // cases
    if positive.ndim != 3 or slices * cases != len(positive) or slices > depth:
        raise ModelError(f"the layer should give maps of {cases} volumes or of their slices, got {list(maps.shape)}")
    placed = place(positive, (height, width), halvings).reshape(cases, slices, height, width)
    return _scaled_to_one(F.pad(placed, (0, 0, 0, 0, 0, depth - slices)))


def _scaled_to_one(maps: Tensor) -> Tensor:
    largest = maps.amax(dim=(1, 2, 3), keepdim=True)
    return torch.where(largest > 0, maps / largest, maps)


def _logit_of(model: nn.Module) -> Callable[..., Tensor]:
    """The model as captum wants it: one number for each case. The network is called as a training step calls it."""

    def logit(image: Tensor, *tabular: Tensor) -> Tensor:
        # Not the call itself: a compiled one would not see the hooks of a graph that it has made already.
        logits: Tensor = model.forward(image, *tabular).logits
        return logits.flatten()

    return logit
