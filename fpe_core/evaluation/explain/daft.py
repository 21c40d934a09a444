"""What clinical columns do in a network with DAFT: where it looks before and after, and which column moves it.

DAFT scales and shifts each channel of the image's features by what it makes of the clinical columns,
F' = F · S + B (Wolf et al., NeuroImage 2022). The quantities here are those of the rLVO paper (EJR 2025, section 2.5
and figures 3 and 4).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor, nn

from fpe_core.data.dataset import Sample
from fpe_core.errors import ModelError, NotEnoughCases
from fpe_core.evaluation.explain.grad_cam import on_image, weighted_channels
from fpe_core.evaluation.explain.layers import halvings_of
from fpe_core.evaluation.explain.probing import check_image, check_tabular, on_device_of, probing
from fpe_core.models.daft import DaftExplanation

if TYPE_CHECKING:
    from fpe_core.models.encoders3d import ConditionedEncoder


class DaftMaps(NamedTuple):
    """Grad-CAM on both sides of DAFT, each divided by its own maximum over the case: compare where, not how strong."""

    before: Tensor
    """`[B, Z, H, W]` float32, 0 to 1: of the image's features alone. Its gradient includes what the features do to S
    and B through their mean."""
    after: Tensor
    """`[B, Z, H, W]` float32, 0 to 1: of the features scaled and shifted by the clinical columns."""


class DaftAttribution(NamedTuple):
    """How each clinical column moves the image's features, for B cases and T columns."""

    scale: Tensor
    """`[B, T]` float32: ∂S/∂T_i, mean over the channels, signed."""
    shift: Tensor
    """`[B, T]` float32: ∂B/∂T_i, mean over the channels, signed."""
    contribution: Tensor
    """`[B, T]` float32: |∂S/∂T_i| · |F̄| + |∂B/∂T_i|, taken in each channel, then the mean over the channels."""


class Contribution(NamedTuple):
    """How much one clinical column moves the image's features, on average over cases."""

    column: str
    value: float
    """In units of the features; ≥ 0. Comparable within a network, not between networks of other features."""


def grad_cam_around_daft(model: nn.Module, image: Tensor, tabular: Tensor) -> DaftMaps:
    """Attention for the prediction's logit before and after DAFT.

    Args:
        image: `[B, C, Z, H, W]` float.
        tabular: `[B, T]` float, scaled clinical columns.

    Raises:
        ModelError: the network has no DAFT, or the inputs do not fit.
    """
    _check(model, image, tabular)
    with probing(model), _gradients_from_daft_on(model):
        seen = _explained(model, image, on_device_of(model, tabular))
        gradients = torch.autograd.grad(seen.logits.sum(), (seen.before, seen.after))
    maps = [
        on_image(weighted_channels(gradient, features.detach()), image, halvings_of(model))
        for gradient, features in zip(gradients, (seen.before, seen.after), strict=True)
    ]
    return DaftMaps(*maps)


def daft_attribution(model: nn.Module, image: Tensor, tabular: Tensor) -> DaftAttribution:
    """Gradients of DAFT's scale and shift by each clinical column.

    The paper prints a column's contribution as |S| · F̄ + |T|, from the mean of all gradients over the test cases. Read
    with F' = F · S + B, S and T are taken here as ∂S/∂T_i and ∂B/∂T_i: the sum then bounds how much the mean of the
    features moves with the column. Absolute values are taken in each channel, so that channels of opposite sign do not
    cancel, and F̄, the channel's mean over space before DAFT, enters by its size: features may be negative.

    Args:
        image: `[B, C, Z, H, W]` float.
        tabular: `[B, T]` float, scaled clinical columns: a gradient is per unit of the scaled column.

    Raises:
        ModelError: the network has no DAFT, or the inputs do not fit.
    """
    _check(model, image, tabular)
    columns = on_device_of(model, tabular).requires_grad_()
    with probing(model):
        seen = _explained(model, image, columns)
        scale = _by_column(seen.scale, columns)
        shift = _by_column(seen.shift, columns)
    size = seen.before.detach().flatten(2).mean(dim=2).abs()[..., None]
    contribution = (scale.abs() * size + shift.abs()).mean(dim=1)
    return DaftAttribution(scale.mean(dim=1).float(), shift.mean(dim=1).float(), contribution.float())


def contributions(model: nn.Module, batches: Iterable[Sample], columns: Sequence[str]) -> tuple[Contribution, ...]:
    """Each clinical column's contribution, mean over all cases: what the radar plot shows.

    Args:
        batches: collated samples, of any sizes; each case counts once.
        columns: names of the columns of `Sample.tabular`, in their order, which is also the result's.

    Raises:
        ModelError: the network has no DAFT, or the names are not as many as the columns.
        NotEnoughCases: there is no case.
    """
    parts = []
    for batch in batches:
        if batch.tabular.shape[-1] != len(columns):
            raise ModelError(f"columns should name the {batch.tabular.shape[-1]} of the samples, got {len(columns)}")
        parts.append(daft_attribution(model, batch.image, batch.tabular).contribution.double().cpu())
    if not parts:
        raise NotEnoughCases("contributions are a mean over cases, and there is none")
    means = torch.cat(parts).mean(dim=0).tolist()
    return tuple(Contribution(column, value) for column, value in zip(columns, means, strict=True))


def _check(model: nn.Module, image: Tensor, tabular: Tensor) -> None:
    check_image(image)
    check_tabular(image, tabular)
    if not isinstance(getattr(model, "daft", None), nn.Module):
        raise ModelError(f"{type(model).__name__} has no DAFT", hint="give the plan's model clinical columns")


@contextmanager
def _gradients_from_daft_on(model: nn.Module) -> Iterator[None]:
    """Makes the features that DAFT gets the begin of the graph."""

    def begin(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        inputs[0].requires_grad_()

    handle = model.get_submodule("daft").register_forward_pre_hook(begin)
    try:
        yield
    finally:
        handle.remove()


def _explained(model: nn.Module, image: Tensor, tabular: Tensor) -> DaftExplanation:
    """`tabular` keeps its history: it may be what gradients are taken by."""
    return cast("ConditionedEncoder", model).explain(on_device_of(model, image), tabular)


def _by_column(values: Tensor, columns: Tensor) -> Tensor:
    """Derivative of `[B, C]` by `[B, T]` case by case: `[B, C, T]`. A case's values depend on its own columns only."""
    cases, channels = values.shape
    one_channel = torch.eye(channels, dtype=values.dtype, device=values.device)[:, None].expand(-1, cases, -1)
    (gradient,) = torch.autograd.grad(values, columns, one_channel, retain_graph=True, is_grads_batched=True)
    return gradient.transpose(0, 1)
