"""A model under examination is left as it was found."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from fpe_core.errors import ModelError


@contextmanager
def probing(model: nn.Module) -> Iterator[None]:
    """Evaluation mode with gradients on and parameters frozen, whatever the caller has set; all is back afterwards.

    With frozen parameters the graph begins at the layer under examination: a large volume then takes the memory of a
    prediction, not that of a training step. Nothing in here may call `backward`.
    """
    modes = [(module, module.training) for module in model.modules()]
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.eval()
    model.requires_grad_(False)
    try:
        with torch.enable_grad():
            yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)
        for module, training in modes:
            module.training = training


def on_device_of(model: nn.Module, values: Tensor) -> Tensor:
    """An input beside the model, without its history."""
    return values.detach().to(next(model.parameters()).device)


def check_image(image: Tensor) -> None:
    """Refuse what is no batch of images.

    Raises:
        ModelError: `image` is not `[B, C, Z, H, W]`, or B is 0.
    """
    if image.ndim != 5 or not len(image):
        raise ModelError(
            f"image should be [B >= 1, C, Z, H, W], got {list(image.shape)}", hint="one case is image.unsqueeze(0)"
        )


def check_tabular(image: Tensor, tabular: Tensor) -> None:
    """Refuse clinical columns that are not the images' own.

    Raises:
        ModelError: `tabular` is not `[B, T]` with the image's B and T ≥ 1.
    """
    if tabular.ndim != 2 or len(tabular) != len(image) or not tabular.shape[1]:
        raise ModelError(f"tabular should be [{len(image)}, T >= 1] beside the images, got {list(tabular.shape)}")
