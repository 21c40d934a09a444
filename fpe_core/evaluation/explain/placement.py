"""From a layer's coarse grid back to the image's: each cell is put where it looked.

A plain resize to the image's size assumes that the cells of a layer divide the image evenly. None of our encoders does
that: every padded convolution of odd size with stride 2 keeps the first pixel as its first centre, so that after five
of them, 32 pixels to a cell, a resized map lies half a cell (15.5 pixels) away from what it shows.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Centres = NDArray[np.float64]
Halving = Callable[[Centres], Centres]
"""Centres of a layer's cells along one axis, in pixels of the image, to those of the next, half as fine, layer."""
Halvings = tuple[Halving, ...]


def centred(centres: Centres) -> Centres:
    """Stride 2, odd size, padded alike at both ends: the first cell stays the first. Sizes are rounded up."""
    return centres[::2]


def paired(centres: Centres) -> Centres:
    """Mean over pairs, no padding: a cell lies between the two. Sizes are rounded down."""
    pairs = len(centres) // 2
    return (centres[: 2 * pairs : 2] + centres[1 : 2 * pairs : 2]) / 2


def padded_behind(centres: Centres) -> Centres:
    """Stride 2, odd size, one more pixel of padding at the end ("same" for even sizes). Sizes are rounded down."""
    return centres[1::2]


def cell_centres(cells: int, size: int, halvings: Halvings) -> Centres:
    """`(cells,)` where the cells of a layer lie on an axis of `size` pixels.

    The halvings are followed until there are as many cells as the layer has. Where they lead to no such number, or
    there are none, the cells divide the axis evenly.
    """
    centres = np.arange(size, dtype=np.float64)
    for halve in halvings:
        if len(centres) == cells:
            return centres
        centres = halve(centres)
    if len(centres) == cells:
        return centres
    return (np.arange(cells) + 0.5) * size / cells - 0.5


def place(maps: Tensor, sizes: Sequence[int], halvings: Halvings) -> Tensor:
    """Maps on an image's grid: linear between the cells' centres, constant beyond the outermost.

    Args:
        maps: `[N, *cells]`.
        sizes: the image's length in pixels along each axis of `cells`.
        halvings: how the layer's grid came from the image's, from the image on.

    Returns:
        `[N, *sizes]`, of the same dtype and device.
    """
    for axis, size in enumerate(sizes, start=1):
        weights = _weights(cell_centres(maps.shape[axis], size, halvings), size)
        moved = torch.tensordot(maps, torch.from_numpy(weights).to(maps), dims=([axis], [0]))
        maps = moved.movedim(-1, axis)
    return maps


def _weights(centres: Centres, size: int) -> Centres:
    """`(cells, size)`: what each cell adds to each pixel."""
    pixels = np.arange(size)
    return np.stack([np.interp(pixels, centres, one_cell) for one_cell in np.eye(len(centres))])
