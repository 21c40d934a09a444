"""Whole views: what they keep, what they change, and that nothing depends on how a batch is cut."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fpe_core.config.pretraining import AugmentationPlan
from fpe_core.errors import DataError
from fpe_core.training.augment import AugmentationDraws, augment, draw_augmentation, thick_slice_matrices

SHAPE = (12, 16, 20)
NOTHING = AugmentationPlan(
    elastic_probability=0, anisotropy_probability=0, flip_probability=0, affine_probability=0, offset=0
)


def draw(num_cases: int, plan: AugmentationPlan, *, num_channels: int = 3, seed: int = 0) -> AugmentationDraws:
    return draw_augmentation(plan, num_cases, torch.Generator().manual_seed(seed), num_channels=num_channels)


def batch(num_cases: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(num_cases, 3, *SHAPE, generator=torch.Generator().manual_seed(seed)) * 5 + 2


def rescaled(images: Tensor) -> Tensor:
    """Each channel of each case to 0-1, by NumPy."""
    array = images.double().numpy()
    least, most = array.min((2, 3, 4), keepdims=True), array.max((2, 3, 4), keepdims=True)
    return torch.from_numpy((array - least) / (most - least)).float()


def test_a_view_that_draws_nothing_is_the_rescaled_image() -> None:
    images = batch()
    before = images.clone()
    torch.testing.assert_close(augment(images, draw(4, NOTHING)), rescaled(images), atol=1e-5, rtol=0)
    assert torch.equal(images, before)


def test_one_case_that_moves_leaves_the_others_alone() -> None:
    draws = draw(4, NOTHING)
    draws.flip[2] = True
    expected = rescaled(batch())
    expected[2] = expected[2].flip(3)
    torch.testing.assert_close(augment(batch(), draws), expected, atol=1e-4, rtol=0)


def test_each_channel_spans_0_to_1_around_its_own_offset() -> None:
    draws = draw(6, AugmentationPlan())
    view = augment(batch(6), draws)
    assert view.dtype == torch.float32
    torch.testing.assert_close(view.amin((2, 3, 4)), draws.offset, atol=1e-6, rtol=0)
    torch.testing.assert_close(view.amax((2, 3, 4)), 1 + draws.offset, atol=1e-6, rtol=0)
    assert view.min() >= -0.1
    assert view.max() <= 1.1


def test_an_empty_channel_stays_empty() -> None:
    images = batch()
    images[:, 1] = 0
    draws = draw(4, AugmentationPlan())
    assert torch.equal(augment(images, draws)[:, 1], draws.offset[:, 1].view(4, 1, 1, 1).expand(4, *SHAPE))


def test_all_channels_of_a_case_move_together() -> None:
    images = batch(8)[:, :1].expand(-1, 3, -1, -1, -1)
    view = augment(images, draw(8, AugmentationPlan(offset=0)))
    assert torch.equal(view[:, 0], view[:, 1])
    assert torch.equal(view[:, 0], view[:, 2])
    assert not torch.allclose(view, rescaled(images), atol=0.1)


@pytest.mark.parametrize("cut", [1, 3, 5])
def test_a_batch_in_two_parts_gives_the_views_of_the_whole(cut: int) -> None:
    images, draws = batch(8), draw(8, AugmentationPlan(), seed=5)
    parts = [augment(images[:cut], draws.cases(0, cut)), augment(images[cut:], draws.cases(cut, 8))]
    torch.testing.assert_close(torch.cat(parts), augment(images, draws), atol=2e-5, rtol=0)


def test_the_same_seed_gives_the_same_views_and_the_next_view_differs() -> None:
    plan, images = AugmentationPlan(), batch()
    generator = torch.Generator().manual_seed(0)
    first, second = (augment(images, draw_augmentation(plan, 4, generator, num_channels=3)) for _ in range(2))
    assert torch.equal(first, augment(images, draw(4, plan)))
    assert all(not torch.allclose(a, b, atol=0.02) for a, b in zip(first, second, strict=True))


def test_mixed_precision_around_it_changes_nothing() -> None:
    images, draws = batch(), draw(4, AugmentationPlan(), seed=2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = augment(images, draws)
    assert torch.equal(inside, augment(images, draws))
    assert augment(images.bfloat16(), draws).dtype == torch.float32


def test_no_gradient_is_kept() -> None:
    assert not augment(batch().requires_grad_(), draw(4, AugmentationPlan())).requires_grad


def test_images_that_were_not_drawn_for_are_refused() -> None:
    draws = draw(4, AugmentationPlan())
    with pytest.raises(DataError, match=r"images should be \[4, 3, Z, H, W\], got \[3, 3, 12, 16, 20\]"):
        augment(batch(3), draws)
    with pytest.raises(DataError, match=r"got \[4, 2, 12, 16, 20\]"):
        augment(batch()[:, :2], draws)


def test_thick_slices_by_hand() -> None:
    matrix = thick_slice_matrices(torch.tensor([2.0]), 8)[0]
    row = torch.tensor([1.0, 3, 5, 7, 2, 2, 0, 4])
    # Slices are 2, 6, 2, 2, their middles at the edges of voxels 0|1, 2|3, 4|5, 6|7.
    torch.testing.assert_close(matrix @ row, torch.tensor([2.0, 3, 5, 5, 3, 2, 2, 2]))


@pytest.mark.parametrize("num_voxels", [1, 7, 26, 224])
def test_thick_slices_keep_what_is_even(num_voxels: int) -> None:
    factor = torch.tensor([1.0, 1.5, 2.7, 5.0])
    matrices = thick_slice_matrices(factor, num_voxels)
    torch.testing.assert_close(matrices.sum(2), torch.ones(4, num_voxels))
    torch.testing.assert_close(matrices[0], torch.eye(num_voxels))
    assert matrices.min() >= 0
    # Symmetric from either end, so that nothing is shifted.
    torch.testing.assert_close(matrices, matrices.flip(1, 2), atol=2e-5, rtol=0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_anisotropy_removes_detail_along_its_axis_only(axis: int) -> None:
    """Along every axis one slow wave and one of three voxels: how much of the fast one is left beside the slow one."""
    wave = torch.arange(24) * 2 * torch.pi / 24
    line = torch.cos(wave) + torch.cos(8 * wave)
    image = line.view(24, 1, 1) + line.view(1, 24, 1) + line.view(1, 1, 24)
    draws = replace(
        draw(1, NOTHING, num_channels=1), anisotropy_factor=torch.tensor([4.0]), anisotropy_axis=torch.tensor([axis])
    )
    spectrum = torch.fft.fftn(augment(image[None, None], draws)[0, 0]).abs()
    left = [spectrum[8, 0, 0] / spectrum[1, 0, 0], spectrum[0, 8, 0] / spectrum[0, 1, 0]]
    left += [spectrum[0, 0, 8] / spectrum[0, 0, 1]]
    for other, share in enumerate(left):
        assert share < 0.05 if other == axis else share == pytest.approx(1, abs=1e-3)
