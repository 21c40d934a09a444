"""Flip, affine and elastic deformation of a batch in one resampling."""

import warnings
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from monai.networks.blocks.warp import Warp
from scipy.interpolate import BSpline
from torch import Tensor

from fpe_core.config.recipe import Grid
from fpe_core.training.augment_draws import FREE_KNOTS, AugmentationDraws

_LOCKED_KNOTS = 2
_INTERVALS = FREE_KNOTS + 1
_NUM_KNOTS = FREE_KNOTS + 2 * _LOCKED_KNOTS
_CUBIC = 3

Extent = tuple[float, float, float]
"""Size of the field of view along z, h, w in mm: voxels times their spacing."""

_GRID = Grid()
GRID_EXTENT_MM: Extent = (
    _GRID.shape_zyx[0] * _GRID.spacing_zyx_mm[0],
    _GRID.shape_zyx[1] * _GRID.spacing_zyx_mm[1],
    _GRID.shape_zyx[2] * _GRID.spacing_zyx_mm[2],
)
"""That of every built-in recipe, whatever its resolution."""


def resampled(images: Tensor, draws: AugmentationDraws, *, extent_mm: Extent) -> Tensor:
    """Images flipped, then scaled and turned about the middle of the grid, then deformed; trilinear, 0 from outside.

    Args:
        images: `(B, C, Z, H, W)` float32.

    Returns:
        The same shape; every channel of a case is moved alike.
    """
    displacement = displacement_voxels(draws, images.shape[2:], extent_mm=extent_mm, device=images.device)
    return _warp(images, displacement)


def displacement_voxels(
    draws: AugmentationDraws, shape_zhw: torch.Size, *, extent_mm: Extent, device: torch.device
) -> Tensor:
    """How far from each voxel of the view the voxel of the image lies that it shows.

    With x from the middle of the grid in mm, the view at x shows the image at A (x + u(x)): A undoes the scaling,
    the rotation and the flip, u is a cubic B-spline. Such splines reproduce linear functions, so that A x is added at
    the control points and costs nothing at the voxels. Control points that move by less than 0.4 of their distance
    cannot fold a cubic B-spline (Choi and Lee, Graphical Models 62, 2000).

    Returns:
        `(B, 3, Z, H, W)` float32, voxels along z, h, w, on `device`.
    """
    spacing_mm = torch.tensor([extent / n for extent, n in zip(extent_mm, shape_zhw, strict=True)])
    pull = pull_matrices(draws)
    knots_mm = _knot_positions_mm(shape_zhw, spacing_mm)
    elastic_mm = F.pad(draws.elastic_mm, [_LOCKED_KNOTS] * 6)
    moved_mm = torch.einsum("bij,bjklm->biklm", pull, knots_mm + elastic_mm) - knots_mm
    field = (moved_mm / spacing_mm.view(3, 1, 1, 1)).to(device)
    for num_voxels in shape_zhw:
        field = torch.tensordot(field, _spline_weights(num_voxels).to(device), dims=([2], [1]))
    # Each product puts the axis it has made dense at the end: after three of them they are in order again.
    return field


def pull_matrices(draws: AugmentationDraws) -> Tensor:
    """`(B, 3, 3)` float32, from a place in the view to the place in the image, mm from the middle, axes z, h, w."""
    cosine, sine = torch.cos(torch.deg2rad(draws.rotation_deg)), torch.sin(torch.deg2rad(draws.rotation_deg))
    rotation = torch.eye(3).expand(len(draws), 3, 3)
    for axis in range(3):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn = torch.eye(3).repeat(len(draws), 1, 1)
        turn[:, first, first] = turn[:, second, second] = cosine[:, axis]
        turn[:, first, second], turn[:, second, first] = -sine[:, axis], sine[:, axis]
        rotation = turn @ rotation
    magnification = draws.scale.clone()
    magnification[:, 2] *= torch.where(draws.flip, -1.0, 1.0)
    return rotation.mT / magnification[:, :, None]


def _knot_positions_mm(shape_zhw: torch.Size, spacing_mm: Tensor) -> Tensor:
    """`(3, K, K, K)` float32 control points, mm from the middle; one lies beyond each end of an axis."""
    steps = torch.arange(_NUM_KNOTS) / _INTERVALS - (_NUM_KNOTS - 1) / (2 * _INTERVALS)
    axes = [steps * (n - 1) * spacing for n, spacing in zip(shape_zhw, spacing_mm, strict=True)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


@cache
def _spline_weights(num_voxels: int) -> Tensor:
    """`(num_voxels, K)` float32, the share of each control point in each voxel; rows sum to 1."""
    positions = np.linspace(0, _INTERVALS, num_voxels)
    basis = BSpline.design_matrix(positions, np.arange(-_CUBIC, _INTERVALS + _CUBIC + 1), _CUBIC)
    return torch.from_numpy(basis.toarray().astype(np.float32))


def _warp(images: Tensor, displacement: Tensor) -> Tensor:
    view: Tensor = _warp_on(displacement.device)(images, displacement)
    return view


@cache
def _warp_on(device: torch.device) -> Warp:  # noqa: ARG001 - the key of the cache
    """MONAI's layer for tensors on `device`. It keeps the voxels' own positions, which it makes on the CPU, until a
    batch of another shape comes; on which device they are it does not look at, so that each has its own layer."""
    with warnings.catch_warnings():
        # Said at every construction when MONAI comes without its own kernels, as its wheels do.
        warnings.filterwarnings("ignore", "monai.networks.blocks.Warp: Using PyTorch native")
        return Warp(mode="bilinear", padding_mode="zeros")  # type: ignore[no-untyped-call]  # MONAI's own gap
