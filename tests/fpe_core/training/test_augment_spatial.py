"""Where voxels go: flips, rotations in millimetres, deformations that do not fold."""

import numpy as np
import pytest
import torch
from monai.networks.blocks.warp import Warp
from scipy.ndimage import affine_transform, gaussian_filter
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn.functional import pad

from fpe_core.config.pretraining import AugmentationPlan
from fpe_core.config.recipe import recipe_named
from fpe_core.training.augment_draws import AugmentationDraws, draw_augmentation
from fpe_core.training.augment_spatial import GRID_EXTENT_MM, displacement_voxels, resampled

SHAPE = torch.Size((26, 64, 48))
SPACING_MM = np.array(GRID_EXTENT_MM) / np.array(SHAPE)
CPU = torch.device("cpu")


def neutral(num_cases: int = 1) -> AugmentationDraws:
    return AugmentationDraws(
        elastic_mm=torch.zeros(num_cases, 3, 3, 3, 3),
        anisotropy_factor=torch.ones(num_cases),
        anisotropy_axis=torch.zeros(num_cases, dtype=torch.int64),
        flip=torch.zeros(num_cases, dtype=torch.bool),
        scale=torch.ones(num_cases, 3),
        rotation_deg=torch.zeros(num_cases, 3),
        offset=torch.zeros(num_cases, 1),
    )


def smooth_image(seed: int = 0) -> Tensor:
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    return torch.from_numpy(gaussian_filter(noise, 2).astype(np.float32))[None, None]


def warped(image: Tensor, draws: AugmentationDraws) -> Tensor:
    return resampled(image, draws, extent_mm=GRID_EXTENT_MM)


def from_inside(draws: AugmentationDraws) -> Tensor:
    """Voxels of the view that show a place inside the image's outermost voxels."""
    return warped(pad(torch.ones(1, 1, *(n - 2 for n in SHAPE)), [1] * 6), draws) > 0.9999


@pytest.mark.parametrize("name", ["mnt-dl-mr", "mnt-dl-ct", "mnt-dl-mr-small", "mnt-dl-ct-small"])
def test_the_default_extent_is_that_of_every_recipe(name: str) -> None:
    grid = recipe_named(name).grid
    assert np.multiply(grid.shape_zyx, grid.spacing_zyx_mm) == pytest.approx(GRID_EXTENT_MM)


def test_neutral_draws_move_nothing() -> None:
    assert displacement_voxels(neutral(), SHAPE, extent_mm=GRID_EXTENT_MM, device=CPU).abs().max() < 1e-5
    image = smooth_image()
    torch.testing.assert_close(warped(image, neutral()), image, atol=1e-5, rtol=0)


def test_a_flip_exchanges_left_and_right_and_nothing_else() -> None:
    draws = neutral()
    draws.flip[0] = True
    image = torch.zeros(1, 1, *SHAPE)
    image[0, 0, 4, 7, 3] = 1
    torch.testing.assert_close(warped(image, draws), image.flip(4), atol=1e-4, rtol=0)
    assert warped(image, draws)[0, 0, 4, 7, 44] > 0.9999


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(
    ("rotation_deg", "scale"),
    [
        ((20.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        ((0.0, 20.0, 0.0), (1.0, 1.0, 1.0)),
        ((0.0, 0.0, -20.0), (1.0, 1.0, 1.0)),
        ((0.0, 0.0, 0.0), (0.9, 1.1, 1.2)),
        ((12.0, -17.0, 8.0), (1.15, 0.92, 1.05)),
    ],
)
def test_an_affine_agrees_with_scipy(rotation_deg: tuple[float, ...], scale: tuple[float, ...], flip: bool) -> None:
    draws = neutral()
    draws.rotation_deg[0], draws.scale[0], draws.flip[0] = torch.tensor(rotation_deg), torch.tensor(scale), flip
    # The head's own way, in mm: flipped, scaled, turned about z, then h, then w.
    mirror = np.diag([1, 1, -1 if flip else 1])
    push_mm = Rotation.from_euler("xyz", rotation_deg, degrees=True).as_matrix() @ np.diag(scale) @ mirror
    pull = np.diag(1 / SPACING_MM) @ np.linalg.inv(push_mm) @ np.diag(SPACING_MM)
    middle = (np.array(SHAPE) - 1) / 2
    image = smooth_image()
    expected = affine_transform(image[0, 0].numpy(), pull, middle - pull @ middle, order=1, prefilter=False)
    inner = from_inside(draws)
    assert inner.float().mean() > 0.5
    np.testing.assert_allclose(warped(image, draws)[inner].numpy(), expected[inner[0, 0].numpy()], atol=2e-5)


@pytest.mark.filterwarnings("ignore:monai.networks.blocks.Warp")
def test_batches_of_other_shapes_in_between_change_nothing() -> None:
    plan = AugmentationPlan(elastic_probability=1, affine_probability=1)
    for seed, shape in enumerate([(3, 2, 9, 12, 10), (1, 2, 9, 12, 10), (3, 1, 9, 12, 10), (3, 2, 10, 12, 9)] * 2):
        generator = torch.Generator().manual_seed(seed)
        images = torch.rand(shape, generator=generator)
        draws = draw_augmentation(plan, shape[0], generator, num_channels=shape[1])
        field = displacement_voxels(draws, images.shape[2:], extent_mm=GRID_EXTENT_MM, device=CPU)
        fresh = Warp(mode="bilinear", padding_mode="zeros")
        assert torch.equal(warped(images, draws), fresh(images, field))


def test_a_sphere_in_millimetres_stays_a_sphere_when_turned() -> None:
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(SHAPE, SPACING_MM, strict=True)]
    radius_mm = np.linalg.norm(np.stack(np.meshgrid(*axes, indexing="ij")), axis=0)
    sphere = torch.from_numpy(np.exp(-((radius_mm / 50) ** 2)).astype(np.float32))[None, None]
    draws = neutral()
    draws.rotation_deg[0] = torch.tensor([20.0, -20.0, 20.0])
    assert (warped(sphere, draws) - sphere)[from_inside(draws)].abs().max() < 0.02


def test_what_comes_from_outside_is_background() -> None:
    draws = neutral()
    draws.scale[0] = 0.5
    view = warped(torch.ones(1, 1, *SHAPE), draws)
    assert view[0, 0, 0].abs().max() == 0
    assert view[0, 0, 13, 32, 24] == pytest.approx(1, abs=1e-5)


def elastic_field(max_mm: float, num_cases: int) -> Tensor:
    plan = AugmentationPlan(elastic_probability=1, elastic_max_mm=max_mm, affine_probability=0, flip_probability=0)
    draws = draw_augmentation(plan, num_cases, torch.Generator().manual_seed(0), num_channels=1)
    return displacement_voxels(draws, SHAPE, extent_mm=GRID_EXTENT_MM, device=CPU)


def jacobian_determinants(displacement: Tensor) -> Tensor:
    """Of place in the view to place in the image, by finite differences."""
    gradients = torch.stack(torch.gradient(displacement, dim=(2, 3, 4)), dim=2)
    return torch.linalg.det(torch.eye(3) + gradients.permute(0, 3, 4, 5, 1, 2))


def test_an_elastic_deformation_stays_below_its_maximum_and_moves_heads() -> None:
    field_mm = elastic_field(7.5, 40) * torch.from_numpy(SPACING_MM).float().view(3, 1, 1, 1)
    assert field_mm.abs().max() < 7.5
    assert 1 < field_mm[:, :, 8:18, 16:48, 12:36].norm(dim=1).mean() < 5


@pytest.mark.parametrize("max_mm", [7.5, 15.0])
def test_no_deformation_folds(max_mm: float) -> None:
    assert jacobian_determinants(elastic_field(max_mm, 40)).min() > 0


def test_extreme_control_points_do_not_fold_either() -> None:
    draws = neutral(8)
    signs = torch.randint(0, 2, draws.elastic_mm.shape, generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    draws.elastic_mm.copy_(15 * signs)
    field = displacement_voxels(draws, SHAPE, extent_mm=GRID_EXTENT_MM, device=CPU)
    assert jacobian_determinants(field).min() > 0


def test_a_deformation_is_the_cubic_spline_of_its_control_points() -> None:
    draws = neutral()
    draws.elastic_mm[0, 1, 1, 1, 1] = 6.0
    field = displacement_voxels(draws, torch.Size((25, 33, 41)), extent_mm=(150, 165, 205), device=CPU)
    # The middle control point lies on the middle voxel, where a cubic B-spline's weight is 2/3 along each axis.
    assert field[0, 1, 12, 16, 20] == pytest.approx(6.0 / 5.0 * (2 / 3) ** 3, rel=1e-4)
    # One control point away, the weight along that axis is 1/6.
    assert field[0, 1, 18, 16, 20] == pytest.approx(6.0 / 5.0 * (1 / 6) * (2 / 3) ** 2, rel=1e-4)
    assert field[0, [0, 2]].abs().max() < 1e-5
