"""Estimates from the measured rates: what they add up to, and where they say that they do not know."""

import math

import pytest

from fpe_core.config.recipe import RECIPE_NAMES, recipe_named
from fpe_core.config.study import ModelPlan
from fpe_sim import rates
from fpe_sim.rates import (
    phantom_bytes,
    phantom_seconds,
    preprocessed_bytes,
    preprocessing_seconds,
    pretraining_seconds,
    training_seconds,
    weights_bytes,
)

NARROW = ModelPlan(name="mnt-dl", base_width=16)
RECIPE = "mnt-dl-mr-small"


def test_the_file_of_rates_is_whole() -> None:
    measured = rates.rates()
    assert set(measured.preprocess_s) == set(RECIPE_NAMES)
    for network in ("mnt-dl", "scanet", "densenet169", "efficientnet-b0"):
        for size in ("small", "full"):
            assert measured.training_s[network][size] > 0  # type: ignore[index]
            assert measured.weights_bytes[network][size] > 0  # type: ignore[index]
    assert {"device", "date", "load"} <= set(measured.measured_on)


def test_the_small_dial_is_the_faster_one() -> None:
    full = training_seconds(NARROW.model_copy(update={"base_width": 64}), "mnt-dl-mr", 10, 1, 1, "cpu")
    assert full > 3 * training_seconds(NARROW, RECIPE, 10, 1, 1, "cpu")
    assert preprocessing_seconds("mnt-dl-mr", 10, 1) > preprocessing_seconds(RECIPE, 10, 1)


@pytest.mark.parametrize("seconds", [training_seconds, pretraining_seconds])
def test_twice_the_work_takes_twice_as_long_and_two_jobs_half(seconds: object) -> None:
    once = seconds(NARROW, RECIPE, 40, 5, 1, "cpu")  # type: ignore[operator]
    assert once > 0
    assert seconds(NARROW, RECIPE, 80, 5, 1, "cpu") == pytest.approx(2 * once)  # type: ignore[operator]
    assert seconds(NARROW, RECIPE, 40, 10, 1, "cpu") == pytest.approx(2 * once)  # type: ignore[operator]
    assert seconds(NARROW, RECIPE, 40, 5, 2, "cpu") == pytest.approx(once / 2)  # type: ignore[operator]


def test_what_was_not_measured_is_not_a_number() -> None:
    assert math.isnan(training_seconds(NARROW, RECIPE, 40, 5, 1, "cuda"))
    volumes = ModelPlan(name="densenet169", sequences=("ncct", "cta"))
    assert math.isnan(pretraining_seconds(volumes, "daft-ct", 40, 5, 1, "cpu"))
    assert math.isnan(preprocessing_seconds("of-tomorrow", 3, 1))
    assert math.isnan(phantom_seconds("mr", 10, 1) + training_seconds(NARROW, RECIPE, 40, 5, 1, "cuda:1"))


def test_a_preprocessed_case_takes_its_volumes_and_its_mask() -> None:
    depth, height, width = recipe_named("daft-ct-small").grid.shape_zyx
    # ncct, cta and vessels in float32, and a mask of one byte.
    assert preprocessed_bytes("daft-ct-small", 7) == 7 * depth * height * width * 13


def test_bytes_grow_with_cases_and_folds() -> None:
    assert phantom_bytes("ct", 10) == 10 * phantom_bytes("ct", 1) > 0
    assert weights_bytes(NARROW, RECIPE, 5) == 5 * weights_bytes(NARROW, RECIPE, 1) > 0
