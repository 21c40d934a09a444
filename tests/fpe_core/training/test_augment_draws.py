"""What is drawn: how often, how much, from which seed."""

from dataclasses import fields

import pytest
import torch
from pydantic import ValidationError

from fpe_core.config.pretraining import AugmentationPlan
from fpe_core.training.augment_draws import AugmentationDraws, draw_augmentation

PLAN = AugmentationPlan()
NUM_DRAWN = 2000


def draw(num_cases: int, seed: int = 0, plan: AugmentationPlan = PLAN) -> AugmentationDraws:
    return draw_augmentation(plan, num_cases, torch.Generator().manual_seed(seed), num_channels=2)


def same(first: AugmentationDraws, second: AugmentationDraws) -> bool:
    return all(torch.equal(getattr(first, f.name), getattr(second, f.name)) for f in fields(AugmentationDraws))


@pytest.fixture(scope="module")
def many() -> AugmentationDraws:
    return draw(NUM_DRAWN)


def near(share: float, probability: float) -> bool:
    """Within four standard errors of a binomial share."""
    return abs(share - probability) < 4 * (probability * (1 - probability) / NUM_DRAWN) ** 0.5


def test_each_augmentation_comes_as_often_as_planned(many: AugmentationDraws) -> None:
    is_affine = (many.scale != 1).all(1)
    assert torch.equal(is_affine, (many.rotation_deg != 0).all(1))
    assert near(many.elastic_mm.flatten(1).any(1).float().mean().item(), 0.7)
    assert near((many.anisotropy_factor > 1).float().mean().item(), 0.5)
    assert near(many.flip.float().mean().item(), 0.5)
    assert near(is_affine.float().mean().item(), 0.5)
    assert all(near((many.anisotropy_axis == axis).float().mean().item(), 1 / 3) for axis in range(3))


def test_augmentations_are_independent_of_each_other(many: AugmentationDraws) -> None:
    elastic, thick = many.elastic_mm.flatten(1).any(1), many.anisotropy_factor > 1
    is_affine = many.scale[:, 0] != 1
    chosen = torch.stack([elastic, thick, many.flip, is_affine]).float()
    correlation = torch.corrcoef(chosen) - torch.eye(4)
    assert correlation.abs().max() < 4 / NUM_DRAWN**0.5


def test_values_fill_the_planned_ranges(many: AugmentationDraws) -> None:
    def spans(values: torch.Tensor, least: float, most: float) -> bool:
        slack = 0.02 * (most - least)
        return least <= values.min() <= least + slack and most - slack <= values.max() <= most

    assert spans(many.elastic_mm, -7.5, 7.5)
    assert spans(many.anisotropy_factor[many.anisotropy_factor > 1], 1.5, 5.0)
    assert spans(many.scale[many.scale != 1], 0.9, 1.2)
    assert spans(many.rotation_deg, -20, 20)
    assert spans(many.offset, -0.1, 0.1)
    assert many.offset.shape == (NUM_DRAWN, 2)


def test_the_seed_decides_and_the_two_views_of_a_generator_differ() -> None:
    assert same(draw(5, seed=1), draw(5, seed=1))
    assert not same(draw(5, seed=1), draw(5, seed=2))
    generator = torch.Generator().manual_seed(1)
    first, second = (draw_augmentation(PLAN, 5, generator, num_channels=2) for _ in range(2))
    assert same(first, draw(5, seed=1))
    assert not (first.offset == second.offset).any()


def test_a_part_holds_the_draws_of_its_cases(many: AugmentationDraws) -> None:
    part = many.cases(3, 7)
    assert len(part) == 4
    assert all(torch.equal(getattr(part, f.name), getattr(many, f.name)[3:7]) for f in fields(part))


def test_only_draws_that_move_voxels_say_so() -> None:
    still = AugmentationPlan(elastic_probability=0, flip_probability=0, affine_probability=0)
    assert not draw(20, plan=still).moves_voxels
    for name in ("elastic_probability", "flip_probability", "affine_probability"):
        assert draw(1, plan=still.model_copy(update={name: 1.0})).moves_voxels


def test_a_range_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"scale should go from the least to the most, got 1.2 to 0.9"):
        AugmentationPlan(scale=(1.2, 0.9))
    with pytest.raises(ValidationError, match="less than or equal to 15"):
        AugmentationPlan(elastic_max_mm=20)
