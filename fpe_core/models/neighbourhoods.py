"""Runs of adjacent slices, and a batch of volumes taken apart into slices."""

import torch
from torch import Tensor

from fpe_core.errors import ModelError


def neighbourhood_sizes(num_slices: int, num_neighbourhoods: int) -> tuple[int, ...]:
    """Slices in each neighbourhood, in the slices' order.

    The neighbourhoods are contiguous and share no slice; their sizes differ by at most one, and the larger ones come
    first: 26 slices in 5 are 6, 5, 5, 5, 5.

    Raises:
        ModelError: there is no such division.
    """
    if not 1 <= num_neighbourhoods <= num_slices:
        raise ModelError(
            f"num_neighbourhoods should be from 1 to num_slices ({num_slices}), got {num_neighbourhoods}",
            hint="each neighbourhood needs a slice",
        )
    size, larger = divmod(num_slices, num_neighbourhoods)
    return tuple(size + (i < larger) for i in range(num_neighbourhoods))


def averaging_matrix(num_slices: int, num_neighbourhoods: int) -> Tensor:
    """`[K, Z]` float32: times slices' features `[.., Z, F]`, it gives the mean over each neighbourhood, `[.., K, F]`.

    Each row adds up to one, so that what follows does not depend on how many slices a neighbourhood has.

    Raises:
        ModelError: see `neighbourhood_sizes`.
    """
    sizes = torch.tensor(neighbourhood_sizes(num_slices, num_neighbourhoods))
    owner = torch.arange(num_neighbourhoods).repeat_interleave(sizes, output_size=num_slices)
    return (owner == torch.arange(num_neighbourhoods).unsqueeze(1)) / sizes.unsqueeze(1)


def fold_slices(image: Tensor, *, in_channels: int, num_slices: int) -> Tensor:
    """The first slices of each volume as one batch: `[B, C, Z, H, W]` to `[B · num_slices, C, H, W]`, case by case.

    Raises:
        ModelError: the image has another number of axes or channels, or too few slices.
    """
    if image.ndim != 5 or image.shape[1] != in_channels or image.shape[2] < num_slices:
        raise ModelError(
            f"input should be [B, {in_channels}, Z >= {num_slices}, H, W], got {list(image.shape)}",
            hint="the recipe's grid and the plan's sequences decide this shape",
        )
    return image[:, :, :num_slices].transpose(1, 2).flatten(0, 1)
