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

    Channels-last, and under autocast in its dtype: the first convolution would bring the batch there in two copies.

    Raises:
        ModelError: the image has another number of axes or channels, or too few slices.
    """
    if image.ndim != 5 or image.shape[1] != in_channels or image.shape[2] < num_slices:
        raise ModelError(
            f"input should be [B, {in_channels}, Z >= {num_slices}, H, W], got {list(image.shape)}",
            hint="the recipe's grid and the plan's sequences decide this shape",
        )
    channels_last = image[:, :, :num_slices].permute(0, 2, 3, 4, 1)
    dtype = _convolution_dtype(image)
    # One kernel: where the dtype changes `to` writes in the new order, elsewhere `contiguous` has something to do.
    folded = channels_last.to(dtype, memory_format=torch.contiguous_format).contiguous().flatten(0, 1)
    return folded.permute(0, 3, 1, 2)


def _convolution_dtype(image: Tensor) -> torch.dtype:
    """What autocast, if it is on, would make of `image` in front of a convolution."""
    kind = image.device.type
    if image.dtype is torch.float32 and torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    return image.dtype
